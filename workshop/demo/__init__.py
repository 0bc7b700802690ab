"""What `python3 -m workshop demo` shows: the pipeline run and watched, or broken on purpose."""
