"""Writing to the outbox and the relay's claim on it.

`publish` runs in the transaction of the change it tells of. All times are PostgreSQL's: two relays on two machines
with two clocks must agree on what is due. `claim` gives each pending row to one relay at a time and
never a row whose aggregate has an older one pending, so a start always leaves before what follows it. A claim is a
lease: a relay that dies loses it, and the row goes to the next one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models.functions import Now

from orders.models import OutboxMessage
from orders.vocabulary import OUTBOX_CHANNEL, Topic

CHANNEL = OUTBOX_CHANNEL
LEASE = timedelta(seconds=10)

# The rows are chosen in a materialised CTE: as a plain sub-select, some query plans run the choice again for every row
# and exceed the LIMIT. Topics of a newer version are left to its relays.
CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT m.id FROM orders_outboxmessage m
        WHERE m.delivered_at IS NULL AND m.available_at <= now() AND m.topic = ANY(%(topics)s)
          AND NOT EXISTS (
              SELECT 1 FROM orders_outboxmessage older
              WHERE older.aggregate = m.aggregate AND older.delivered_at IS NULL AND older.id < m.id
          )
        ORDER BY m.available_at, m.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE orders_outboxmessage AS message
    SET attempts = attempts + 1, available_at = now() + make_interval(secs => %(lease)s)
    FROM due WHERE message.id = due.id
    RETURNING message.id, topic, aggregate, body, attempts
"""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A claimed outbox row."""

    id: int
    topic: Topic
    aggregate: str
    body: dict[str, Any]
    #: this claim included
    attempts: int


def publish(topic: Topic, *, aggregate: str, body: dict[str, Any]) -> OutboxMessage:
    """Record what Temporal must be told, and wake a relay when (and only if) the transaction commits."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("outbox.publish needs the transaction that records the change.")
    message = OutboxMessage.objects.create(topic=topic, aggregate=aggregate, body=body)
    with connection.cursor() as cursor:
        # NOTIFY is transactional: it is sent at commit and folded with equal ones.
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
    return message


def claim(limit: int) -> list[Message]:
    """Lease up to `limit` rows to the caller for `LEASE`."""
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM, {"limit": limit, "lease": LEASE.total_seconds(), "topics": [topic.value for topic in Topic]}
        )
        rows = cursor.fetchall()
    return [
        Message(
            id=row[0],
            topic=Topic(row[1]),
            aggregate=row[2],
            body=row[3] if isinstance(row[3], dict) else json.loads(row[3]),
            attempts=row[4],
        )
        for row in sorted(rows)
    ]


def mark_delivered(message_id: int) -> None:
    OutboxMessage.objects.filter(pk=message_id).update(delivered_at=Now(), last_error="")


def postpone(message: Message, error: str, *, delay: timedelta) -> None:
    """Give the row back after a failure; it is tried again after `delay`."""
    OutboxMessage.objects.filter(pk=message.id, delivered_at=None).update(
        available_at=Now() + delay, last_error=error[:500]
    )
