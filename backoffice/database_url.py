"""An address of PostgreSQL as Django's settings. libpq itself reads it, as it does for psql, so an option (sslmode,
sslrootcert, target_session_attrs, application_name, several hosts ...) means the same at every door, and one that does
not exist stops the start.
"""

from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

SCHEMES = ("postgres://", "postgresql://")
#: libpq's name for it, and Django's
NAMES = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST", "port": "PORT"}
#: seconds that a piece of work waits for a free connection, or for PostgreSQL to come back
POOL_TIMEOUT = 5.0
#: seconds; psycopg's own five minutes mean pauses of up to half of that after PostgreSQL is back
POOL_RECONNECT_TIMEOUT = 2.0


def database(url: str, *, name: str, pool_size: int = 0) -> dict[str, Any]:
    """The entry of DATABASES; `name` is how the connections are called at the server unless the URL says it.

    With a `pool_size`, connections belong to the process and go back after each piece of work. Raises
    `ImproperlyConfigured` when the URL cannot be read.
    """
    if not url.startswith(SCHEMES):
        return dict(environ.Env.db_url_config(url))  # a check names the engine and what to do
    try:
        given = conninfo_to_dict(url)
    except ProgrammingError as error:
        raise ImproperlyConfigured(f"The address of the database cannot be read: {str(error).strip()}") from None
    options: dict[str, Any] = {
        "connect_timeout": 5,
        # Milliseconds: what was sent to a server that has vanished is given up before the kernel's quarter of an hour.
        "tcp_user_timeout": 10_000,
        "fallback_application_name": name,
        **{option: value for option, value in given.items() if option not in NAMES},
    }
    if pool_size:
        options["pool"] = {
            "min_size": 1,
            "max_size": pool_size,
            "timeout": POOL_TIMEOUT,
            "reconnect_timeout": POOL_RECONNECT_TIMEOUT,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{ours: given.get(theirs) or "" for theirs, ours in NAMES.items()},
        # A pooler in transaction mode gives each transaction another session, and a cursor would stay in the first.
        "DISABLE_SERVER_SIDE_CURSORS": True,
        # A command keeps its one connection, and looks whether it still stands before each use.
        "CONN_MAX_AGE": 0 if pool_size else None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
