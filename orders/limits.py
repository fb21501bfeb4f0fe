"""How often a caller may call: one counter for all web processes.

Django's cache is per process by default: with eight of them a limit of ten is one of eighty. One statement counts and
answers; the table is unlogged, so it costs no write to disk and is empty after a crash, which a limit can stand.
"""

import time

from django.conf import settings
from django.db import connection

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
    """Count one call; returns 0, or the seconds until the caller may come back."""
    now = time.time()
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
