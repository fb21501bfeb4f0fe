"""The database accounts of web, worker and reports, made for the test database; tests themselves are its owner."""

import functools
import secrets
from urllib.parse import quote

from django.conf import settings
from django.db import connection

from backoffice import database_roles
from backoffice.database_roles import Role


def account_url(role: Role) -> str:
    """The test database as a process of that role reaches it. Not inside a transaction: others must see the account."""
    database = connection.settings_dict["NAME"]
    # Roles belong to the whole server: two test runs on it must not set each other's passwords. Said each time, for
    # the browser tests' live server takes back what was set while it ran.
    settings.DATABASE_ROLE_PREFIX = database
    return _urls(database)[role]


@functools.cache
def _urls(database: str) -> dict[Role, str]:
    passwords = {role: secrets.token_urlsafe(24) for role in Role}
    with connection.cursor() as cursor:
        for role in Role:
            name = database_roles.name_of(role)
            cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [name])
            if cursor.fetchone() is not None:
                # A run that was killed may have left its own limit, and the accounts outlive the database.
                cursor.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT -1')
    database_roles.grant(passwords)
    where = connection.settings_dict
    return {
        role: f"postgres://{quote(database_roles.name_of(role))}:{password}@{where['HOST']}:{where['PORT']}/{database}"
        for role, password in passwords.items()
    }
