"""Writing to the outbox and the relay's claim on it.

`publish` runs in the transaction of the change it tells of. All times are PostgreSQL's: two relays on two machines
with two clocks must agree on what is due. `claim` gives each pending row to one relay at a time and
never a row whose aggregate has an older one pending, so a start always leaves before what follows it. A claim is a
lease: a relay that dies loses it, and the row goes to the next one.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.db.models import CharField, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast, Concat, Now

from orders.models import OutboxMessage, PartnerHealth
from orders.vocabulary import (
    MOVING_STATUSES,
    OUTBOX_CHANNEL,
    STEPS_OF_PARTNER,
    BreakerState,
    OrderStatus,
    PartnerCode,
    StepStatus,
    Topic,
)

CHANNEL = OUTBOX_CHANNEL
LEASE = timedelta(seconds=10)
#: a bulk start that was delivered counts as under way from then on, until its order says so itself
DELIVERED_LATELY = timedelta(minutes=1)
#: an order that is in its status for longer stands still; its steps take seconds
STANDS_STILL = timedelta(minutes=2)
#: neither accepted by Temporal nor given up
PENDING = Q(delivered_at=None, parked_at=None)

# The rows are chosen in a materialised CTE: as a plain sub-select, some query plans run the choice again for every row
# and exceed the LIMIT. Topics of a newer version are left to its relays.
CLAIM = """
    WITH due AS MATERIALIZED (
        SELECT m.id FROM orders_outboxmessage m
        WHERE m.delivered_at IS NULL AND m.parked_at IS NULL AND m.bulk = %(bulk)s AND m.available_at <= now()
          AND m.topic = ANY(%(topics)s)
          AND NOT EXISTS (
              SELECT 1 FROM orders_outboxmessage older
              WHERE older.aggregate = m.aggregate AND older.delivered_at IS NULL AND older.parked_at IS NULL
                AND older.id < m.id
          )
        ORDER BY m.available_at, m.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    UPDATE orders_outboxmessage AS message
    SET attempts = attempts + 1, available_at = now() + make_interval(secs => %(lease)s)
    FROM due WHERE message.id = due.id
    RETURNING message.id, topic, aggregate, body, attempts
"""

# Orders that a worker is busy with, and those that it has been told of and has not begun. An order that stands still
# gives its place back: a hundred that wait for a customer or for staff would stop every import. Behind a partner that
# is out of order it keeps its place, because the next order would come no further.
UNDER_WAY = """
    SELECT (SELECT count(*) FROM orders_order AS o WHERE status = ANY(%(statuses)s) AND (
                status_since > now() - make_interval(secs => %(still)s)
                OR EXISTS (SELECT 1 FROM orders_step AS s
                           WHERE s.order_id = o.id AND s.status = %(open)s AND s.name = ANY(%(parked)s))))
        + (SELECT count(*) FROM orders_outboxmessage AS m JOIN orders_order AS o ON o.id = (m.body ->> 'order_id')::uuid
           WHERE m.bulk AND m.topic = %(topic)s AND o.status = %(queued)s
             AND m.delivered_at > now() - make_interval(secs => %(lately)s))
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


def publish(
    topic: Topic,
    *,
    aggregate: str,
    body: dict[str, Any],
    due_at: datetime | None = None,
    after: timedelta = timedelta(),
    bulk: bool = False,
) -> OutboxMessage:
    """Record what Temporal must be told, and wake a relay when (and only if) the transaction commits.

    With `due_at` it leaves then, or as soon after as a relay runs. It holds up what is younger in its aggregate all the
    while, so what waits for its hour needs an aggregate of its own. `after` keeps it back for so long: for a writer
    that tells Temporal itself and only wants to be sure. A `bulk` message lets all others pass, until one about the
    same aggregate that is not bulk takes it along.
    """
    when: Any = Now() + after if after else due_at
    times = {"due_at": when, "available_at": when} if when else {}
    message = OutboxMessage(topic=topic, aggregate=aggregate, body=body, bulk=bulk, **times)
    publish_all([message])
    return message


def publish_all(messages: list[OutboxMessage]) -> None:
    """`publish` for many rows in one statement."""
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("The outbox needs the transaction that records the change.")
    if not messages:
        return
    urgent = {message.aggregate for message in messages if not message.bulk}
    # Else a cancellation would wait behind its order's start until the bulk lane comes to it.
    OutboxMessage.objects.filter(PENDING, aggregate__in=urgent, bulk=True).update(bulk=False)
    OutboxMessage.objects.bulk_create(messages, batch_size=500)
    with connection.cursor() as cursor:
        # NOTIFY is transactional: it is sent at commit and folded with equal ones.
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def claim(limit: int, *, only: Collection[Topic] = tuple(Topic)) -> list[Message]:
    """Lease up to `limit` rows of the topics to the caller for `LEASE`.

    Bulk rows only fill up what others leave, and only while few orders are under way: what Temporal has been told is
    worked off in its order, so thousands of starts at once would keep everybody else waiting there.
    """
    messages = _claim(limit, bulk=False, only=only)
    if len(messages) < limit and OutboxMessage.objects.filter(PENDING, bulk=True).exists():
        room = min(limit - len(messages), settings.BULK_ORDERS_UNDER_WAY - _under_way())
        if room > 0:
            messages += _claim(room, bulk=True, only=only)
    return messages


def _under_way() -> int:
    down = PartnerHealth.objects.exclude(state=BreakerState.CLOSED).values_list("partner", flat=True)
    parked = [name.value for partner in down for name in STEPS_OF_PARTNER.get(PartnerCode(partner), ())]
    with connection.cursor() as cursor:
        cursor.execute(
            UNDER_WAY,
            {
                "statuses": sorted(MOVING_STATUSES - {OrderStatus.QUEUED}),
                "queued": OrderStatus.QUEUED,
                "topic": Topic.START_ORDER,
                "lately": DELIVERED_LATELY.total_seconds(),
                "still": STANDS_STILL.total_seconds(),
                "open": StepStatus.OPEN,
                "parked": parked,
            },
        )
        return int(cursor.fetchone()[0])


def _claim(limit: int, *, bulk: bool, only: Collection[Topic] = tuple(Topic)) -> list[Message]:
    with connection.cursor() as cursor:
        cursor.execute(
            CLAIM,
            {
                "limit": limit,
                "bulk": bulk,
                "lease": LEASE.total_seconds(),
                "topics": [topic.value for topic in only],
            },
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


def of_outer_order() -> QuerySet[OutboxMessage]:
    """The messages to the process of the outer query's order."""
    return OutboxMessage.objects.filter(aggregate=Concat(Value("order:"), Cast(OuterRef("pk"), CharField())))


def starts_of_outer_order(*, delivered_within: timedelta = timedelta()) -> QuerySet[OutboxMessage]:
    """Starts of the outer query's order that wait for their turn, or waited until so lately."""
    wanted = PENDING | Q(delivered_at__gt=Now() - delivered_within) if delivered_within else PENDING
    return of_outer_order().filter(wanted, topic=Topic.START_ORDER)


def mark_delivered(message_id: int) -> None:
    OutboxMessage.objects.filter(pk=message_id).update(delivered_at=Now(), last_error="")


def postpone(message: Message, error: str, *, delay: timedelta) -> None:
    """Give the row back after a failure; it is tried again after `delay`."""
    OutboxMessage.objects.filter(PENDING, pk=message.id).update(available_at=Now() + delay, last_error=error[:500])


def park(message: Message, error: str) -> bool:
    """Give the row up for good; what is younger in its aggregate may leave. False when another relay was first."""
    return bool(OutboxMessage.objects.filter(PENDING, pk=message.id).update(parked_at=Now(), last_error=error[:500]))
