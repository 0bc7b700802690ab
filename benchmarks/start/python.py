"""Nothing: the limit."""

PROGRAM = """pass"""
