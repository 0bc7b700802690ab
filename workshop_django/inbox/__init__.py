"""Receiving what is delivered at least once: a key on the door, and each message's effect once.

To use it in another project: copy this folder, add it to INSTALLED_APPS, set APP_KEY. README.md here says the rest.
"""
