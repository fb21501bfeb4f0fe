"""The test database as the harness reaches it: over a connection of its own, as the owner."""

from urllib.parse import quote

from django.db import connection


def address() -> str:
    given = connection.settings_dict
    account = f"{quote(given['USER'])}:{quote(given['PASSWORD'])}"
    return f"postgres://{account}@{given['HOST']}:{given['PORT']}/{given['NAME']}"
