"""Whether this worker's configuration and code fit the database that it works with, asked again and again."""

from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder

from orders.keyring import parse_keys
from orders.services import engine_uses


def comparison(namespace: str) -> Callable[[], str]:
    """What says why a worker of that namespace must take no work; empty when it may, and then its use is noted."""
    keys = parse_keys(settings.TEMPORAL_PAYLOAD_KEYS)

    def compare() -> str:
        if missing := unapplied():
            return f"Migrations are not applied: {', '.join(missing[:3])}. Run manage.py migrate."
        if why := engine_uses.obstacle(namespace, {key.id: key.secret for key in keys}):
            return why
        engine_uses.note(namespace, keys[0].id, keys[0].secret)
        return ""

    return compare


def unapplied() -> list[str]:
    """Migrations of this code that the database does not have. One that has more is of a newer version, and fine."""
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in _of_this_code() - set(applied))


@cache
def _of_this_code() -> frozenset[tuple[str, str]]:
    loader = MigrationLoader(None)
    replaced = {old for migration in loader.disk_migrations.values() for old in migration.replaces}
    squashed = {key for key, migration in loader.disk_migrations.items() if migration.replaces}
    return frozenset(set(loader.disk_migrations) - replaced - squashed)
