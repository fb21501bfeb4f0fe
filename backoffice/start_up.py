"""What a web server does not do by itself when it starts: the system checks, and a line about its connections.

Without it a dangerous configuration would answer requests.
"""

from concurrent.futures import ThreadPoolExecutor

from django.core.management import call_command
from django.db import connections

from orders.connections import tell


def check() -> None:
    """Raises `SystemCheckError` for what must not start. A database that is away is waited for by whoever asks."""
    # Uvicorn imports us inside its event loop, where Django refuses every query.
    with ThreadPoolExecutor(1, thread_name_prefix="start-up") as thread:
        thread.submit(_check).result()


def _check() -> None:
    try:
        call_command("check", databases=["default"] if tell() else None)
    finally:
        connections.close_all()
