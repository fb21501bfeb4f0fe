"""`manage.py migrate`: Django's, one at a time, and never in the way of those who work.

A migration that waits for a lock makes everybody else wait behind it, for as long as somebody reads the table. So it
waits for a moment only, lets the others pass, and tries again.
"""

from __future__ import annotations

import time
from typing import Any

from django.core.management.commands.migrate import Command as Migrate
from django.db import Error as DatabaseError
from django.db import connections

from orders.database_errors import LOCK_NOT_AVAILABLE, sqlstate
from orders.management.migrating import alone

#: how long callers may be held up by a migration that waits for its lock
LOCK_WAIT = "2s"
#: a migration outside a transaction cannot be tried again from its beginning, so it waits
PATIENT_LOCK_WAIT = "10s"
TRIES = 30
#: seconds for those who were held up
PAUSE = 1.0


class Command(Migrate):
    def handle(self, *args: Any, **options: Any) -> None:
        self.database = connections[options["database"]]
        self.may_try_again = True
        with alone(self.database):
            tries = 1
            while not self.migrated(tries, *args, **options):
                self.stderr.write("Somebody uses the table; trying again in a moment.")
                time.sleep(PAUSE)
                tries += 1

    def migrated(self, tries: int, *args: Any, **options: Any) -> bool:
        try:
            super().handle(*args, **options)
        except DatabaseError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE or not self.may_try_again or tries >= TRIES:
                raise
            return False
        return True

    def migration_progress_callback(self, action: str, migration: Any = None, fake: bool = False) -> None:
        with self.database.cursor() as cursor:
            if action in {"apply_start", "unapply_start"}:
                self.may_try_again = migration.atomic
                wait = LOCK_WAIT if self.may_try_again else PATIENT_LOCK_WAIT
                cursor.execute("SELECT set_config('lock_timeout', %s, false)", [wait])
            elif action in {"apply_success", "unapply_success"}:
                cursor.execute("RESET lock_timeout")
        super().migration_progress_callback(action, migration, fake)
