#!/usr/bin/env python
"""Django's command line for this project: python workshop_django/manage.py help"""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # where the package workshop_django is
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workshop_django.config.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
