"""Only the Django project, set up, with the addresses that it serves."""

PROGRAM = """
import os, django
os.environ |= {"DJANGO_SETTINGS_MODULE": "workshop_django.config.settings", "DEBUG": "true", "SECRET_KEY": "x" * 50}
django.setup()
import workshop_django.config.urls
"""
