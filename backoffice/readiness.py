"""`/readyz`: whether this web process can do its work, which needs a database that can be written.

It does write, and takes it back: a full disk and a primary that became a standby answer every read. The question is
asked in a thread of its own, once in some seconds for everybody who asks, so that a database that hangs neither holds
up the answer nor is asked again and again.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TookTooLong

from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse

from orders.database_errors import READ_ONLY, RETRY_AFTER_SECONDS, sqlstate

logger = logging.getLogger(__name__)

#: seconds for which an answer is good
GOOD_FOR = 3.0
#: seconds to wait for the database, below those that load balancers wait for us
PATIENCE = 2.0
#: characters that are written; a table with a full page must grow for them, which a full disk refuses
SIZE = 6_000

SILENT = "The database does not answer."
NO_WRITES = "The database takes no writes."
READ_ONLY_NOW = "The database is read-only."


class Readiness:
    """The last answer of this process, and the question that is under way."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.threads: ThreadPoolExecutor | None = None
        self.asked: Future[str] | None = None
        self.asked_at = float("-inf")

    def trouble(self) -> str:
        """Why no work can be done, in a sentence; empty when it can. Answers within `PATIENCE`."""
        with self.lock:
            asked = self.asked
            if asked is None or (asked.done() and time.monotonic() - self.asked_at > GOOD_FOR):
                # Made here, not at import: threads do not survive a fork.
                self.threads = self.threads or ThreadPoolExecutor(1, thread_name_prefix="readiness")
                asked = self.asked = self.threads.submit(_written)
                self.asked_at = time.monotonic()
        try:
            return asked.result(PATIENCE)
        except TookTooLong:
            return SILENT


READINESS = Readiness()


def readyz(request: HttpRequest) -> HttpResponse:
    trouble = READINESS.trouble()
    if not trouble:
        return HttpResponse("ready\n", content_type="text/plain; charset=utf-8")
    return HttpResponse(
        f"not ready: {trouble}\n",
        content_type="text/plain; charset=utf-8",
        status=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _written() -> str:
    try:
        with transaction.atomic():
            key = f"readyz-{secrets.token_hex(16)[:32]}"
            Session.objects.bulk_create(
                [Session(session_key=key, session_data=secrets.token_hex(SIZE // 2), expire_date=Now())]
            )
            transaction.set_rollback(True)
    except Exception as error:
        logger.warning("This process is not ready: %s", error)
        state = sqlstate(error)
        return READ_ONLY_NOW if state == READ_ONLY else NO_WRITES if state else SILENT
    finally:
        connection.close()
    return ""
