"""Time in tests: the database's clock is that of the test's process, so that `time_machine` turns both.

SQL's own `now()` stays where it is. Tests of the clock itself take the real one with `asked_for`.
"""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest import mock

import time_machine
from django.apps import apps
from django.db import connection, models

from orders import clock

#: columns that speak of a time to come
OF_THE_FUTURE = {
    "available_at",
    "due_at",
    "expires_at",
    "deadline_at",
    "until",
    "next_at",
    "next_run_at",
    "next_try_at",
    "wait_until",
}
REAL = {name: getattr(clock, name) for name in ("_timer", "_answer", "ask", "ASK_AGAIN_AFTER")}
NEVER_ASKED = {
    "_timer": lambda: time.time(),
    "_answer": clock.Answer(at=datetime(1970, 1, 1, tzinfo=UTC), timer=0.0, took=0.0),
    "ask": lambda: clock._answer,
    "ASK_AGAIN_AFTER": math.inf,
}


def follow_the_process() -> None:
    """From now on, in every test of this process."""
    for name, value in NEVER_ASKED.items():
        setattr(clock, name, value)


@contextmanager
def asked_for(*, process_ahead: timedelta = timedelta()) -> Iterator[None]:
    """The database is asked, as in the product, while the clock of the process is off by so much."""
    with mock.patch.multiple(clock, **REAL), time_machine.travel(datetime.now(UTC) + process_ahead, tick=True):
        yield


def database_time(expression: str = "clock_timestamp()") -> datetime:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {expression}")
        return cursor.fetchone()[0]  # type: ignore[no-any-return]


def times_of_all_rows() -> Iterator[tuple[str, datetime]]:
    """Every moment that stands in a table of ours."""
    for model in apps.get_app_config("orders").get_models():
        names = [
            field.name
            for field in model._meta.concrete_fields
            if isinstance(field, models.DateTimeField) and field.name not in OF_THE_FUTURE
        ]
        for row in model._default_manager.values(*names) if names else ():
            yield from ((f"{model.__name__}.{name}", value) for name, value in row.items() if value is not None)
