"""Django's cache for what all web processes must know together: used codes of authenticators, counts of tries.

A cache of each process would take a code once per process. Django's own cache in a table stores pickles, and whoever
may write to that table could run code in the web; this one stores JSON. The table is unlogged: empty after a crash.
"""

from __future__ import annotations

import json
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import connection

#: seconds; longer than anything that is kept here
LONGEST = 24 * 3600
SET = """
INSERT INTO orders_sharednote AS known (key, value, ends_at)
VALUES (%s, %s, statement_timestamp() + make_interval(secs => %s))
ON CONFLICT (key) DO UPDATE SET value = excluded.value, ends_at = excluded.ends_at
"""
#: of two that add at once, one finds the other's row
ADD = f"{SET} WHERE known.ends_at <= statement_timestamp() RETURNING 1"
GET = "SELECT value::text FROM orders_sharednote WHERE key = %s AND ends_at > statement_timestamp()"
FORGET = "DELETE FROM orders_sharednote WHERE ends_at <= statement_timestamp()"


class SharedCache(BaseCache):
    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def add(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        with connection.cursor() as cursor:
            # Whoever adds pays for forgetting what is over, so the table stays small.
            cursor.execute(FORGET)
            cursor.execute(ADD, [self._key(key, version), json.dumps(value), self._seconds(timeout)])
            return cursor.fetchone() is not None

    def get(self, key: str, default: Any = None, version: int | None = None) -> Any:
        with connection.cursor() as cursor:
            cursor.execute(GET, [self._key(key, version)])
            found = cursor.fetchone()
        return default if found is None else json.loads(found[0])

    def set(self, key: str, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        with connection.cursor() as cursor:
            cursor.execute(SET, [self._key(key, version), json.dumps(value), self._seconds(timeout)])

    def delete(self, key: str, version: int | None = None) -> bool:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM orders_sharednote WHERE key = %s", [self._key(key, version)])
            return bool(cursor.rowcount)

    def clear(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM orders_sharednote")

    def _key(self, key: str, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version=version))

    def _seconds(self, timeout: Any) -> float:
        seconds = self.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        return LONGEST if seconds is None else min(float(seconds), LONGEST)
