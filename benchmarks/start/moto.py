"""Only what the local AWS imports."""

PROGRAM = """import moto.server, moto.sqs.models"""
