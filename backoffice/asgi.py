"""What uvicorn serves: Django behind the limits of `request_limits`."""

import os
from typing import cast

from django.core.asgi import get_asgi_application

from backoffice import start_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "backoffice.settings")
os.environ["BACKOFFICE_PROCESS"] = "web"
django_application = get_asgi_application()

# Not before Django is set up: it needs the settings.
from backoffice.request_limits import Application, RequestLimits  # noqa: E402

application = RequestLimits(cast(Application, django_application))
start_up.check()
