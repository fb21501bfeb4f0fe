import os

from django.core.asgi import get_asgi_application
from django.core.management import call_command

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
application = get_asgi_application()
# A web server runs no system checks by itself: a dangerous configuration would answer requests.
call_command("check")
