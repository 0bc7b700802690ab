"""What is measured, and against what: `python3 -m workshop bench` runs it all.

Each folder is a benchmark: its __init__.py says what is asked, and each other file is a contender, written out in
full, to be read beside the others.
"""

NAMES = ["handler", "send", "outbox", "receiver", "mapping", "pipeline", "growth", "start"]
