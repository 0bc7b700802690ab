"""JupyterLab as the workshop starts it, and the chapters as slides."""
