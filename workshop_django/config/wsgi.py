"""What a WSGI server such as gunicorn serves: workshop_django.config.wsgi:application"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "workshop_django.config.settings")
application = get_wsgi_application()
