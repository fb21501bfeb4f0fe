import os

from django.core.asgi import get_asgi_application

from backoffice import start_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
os.environ["BACKOFFICE_PROCESS"] = "web"
application = get_asgi_application()
start_up.check()
