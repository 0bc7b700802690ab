"""A whole lab: local AWS, queues, Django in this process and served, and the end of them all."""

PROGRAM = """from workshop import Lab; Lab(quiet=True).close()"""
