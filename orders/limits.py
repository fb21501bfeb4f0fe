"""How often a caller may call: one counter for all web processes.

Django's cache is per process by default: with eight of them a limit of ten is one of eighty. One statement counts and
answers; the table is unlogged, so it costs no write to disk and is empty after a crash, which a limit can stand.
"""

import logging

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from orders import clock
from orders.database_errors import is_write_refused

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
#: callers who were not seen for this many windows are forgotten
FORGOTTEN_AFTER = 60
COUNT = """
INSERT INTO orders_requestcount AS known (caller, "window", hits) VALUES (%s, %s, 1)
ON CONFLICT (caller) DO UPDATE SET
    hits = CASE WHEN known."window" = excluded."window" THEN known.hits + 1 ELSE 1 END,
    "window" = excluded."window"
RETURNING hits, xmax = 0
"""


def hit(kind: str, who: str) -> int:
    """Count one call; returns 0, or the seconds until the caller may come back.

    A database that can only be read counts nobody, and is still read.
    """
    try:
        return _hit(kind, who)
    except DatabaseError as error:
        if not is_write_refused(error):
            raise
        logger.warning("A call is not counted: %s", type(error.__cause__ or error).__name__)
        return 0


def _hit(kind: str, who: str) -> int:
    now = clock.now().timestamp()
    window = int(now // WINDOW_SECONDS)
    with connection.cursor() as cursor:
        cursor.execute(COUNT, [f"{kind}:{who}"[:120], window])
        hits, is_new = cursor.fetchone()
        if is_new:
            # New callers pay for forgetting old ones, so nobody can fill the table.
            cursor.execute('DELETE FROM orders_requestcount WHERE "window" < %s', [window - FORGOTTEN_AFTER])
    if hits <= settings.CALLS_PER_MINUTE[kind]:
        return 0
    return max(1, int((window + 1) * WINDOW_SECONDS - now))
