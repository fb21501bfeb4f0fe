import os

from django.core.wsgi import get_wsgi_application

from backoffice import start_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
os.environ["BACKOFFICE_PROCESS"] = "web"
application = get_wsgi_application()
start_up.check()
