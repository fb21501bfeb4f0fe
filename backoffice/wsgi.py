import os

from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
application = get_wsgi_application()
# A web server runs no system checks by itself: a dangerous configuration would answer requests.
call_command("check")
