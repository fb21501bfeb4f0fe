"""Make the day's seal.

One statement reads all heads, so they come from one snapshot, without a lock on anybody's order. Two sealers at once
meet in the primary key: one of them makes the seal, the other finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db import IntegrityError, connection, transaction

from orders import clock
from orders.actor import Actor
from orders.models import HistorySeal, SealedHead, SealedLog
from orders.paging import pages
from orders.services.seals.hashing import HeadsHash, fields_of, logs_hash, seal_hash

CHUNK = 5_000
#: only what moved: an order is sealed once or twice in its life, however old it grows
SEAL_HEADS = """
    WITH totals AS (
        SELECT count(*) AS orders, coalesce(sum(event_count), 0) AS events FROM orders_order
    ), moved AS MATERIALIZED (
        SELECT o.id, o.number, o.event_count, o.chain_head FROM orders_order o
        WHERE NOT EXISTS (
            SELECT 1 FROM orders_sealedhead known
            WHERE known.order_id = o.id AND known.event_count = o.event_count AND known.chain_head = o.chain_head
        )
    ), sealed AS (
        INSERT INTO orders_sealedhead (seal_id, order_id, order_number, event_count, chain_head)
        SELECT %s, * FROM moved
        RETURNING 1
    )
    SELECT totals.orders, totals.events, (SELECT count(*) FROM sealed) FROM totals
"""


@dataclass(frozen=True, kw_only=True)
class Sealed:
    seal: HistorySeal
    #: False when the day had its seal already
    made: bool


def seal_history(*, actor: Actor) -> Sealed:
    """The seal of today (UTC), made now or made before."""
    actor.require("orders.seal_history")
    today = clock.now().date()
    if existing := HistorySeal.objects.filter(day=today).first():
        return Sealed(seal=existing, made=False)
    try:
        with transaction.atomic():
            return Sealed(seal=_make(today, actor), made=True)
    except IntegrityError:
        existing = HistorySeal.objects.filter(day=today).first()
        if existing is None:
            raise
        return Sealed(seal=existing, made=False)


def _make(today: date, actor: Actor) -> HistorySeal:
    previous = HistorySeal.objects.order_by("-sequence").first()
    sequence = previous.sequence + 1 if previous else 1
    with connection.cursor() as cursor:
        # It reads every order; the limit of a page would stop it in a large shop.
        cursor.execute("SET LOCAL statement_timeout = '15min'")
        # With the statistics of a still empty table PostgreSQL would compare every order with every sealed head.
        cursor.execute("SET LOCAL enable_nestloop = off")
        cursor.execute(SEAL_HEADS, [sequence])
        order_count, event_count, head_count = cursor.fetchone()
        # A function of the owner: this account may not read what it seals there.
        cursor.execute("SELECT orders_seal_logs(%s)", [sequence])
    heads = HeadsHash()
    rows = SealedHead.objects.filter(seal_id=sequence)
    told = rows.values_list("order_id", "order_number", "event_count", "chain_head")
    for order_id, number, count, head in pages(told, CHUNK, key="order_id"):
        heads.add(str(order_id), number, count, head)
    seal = HistorySeal(
        sequence=sequence,
        day=today,
        order_count=order_count,
        event_count=int(event_count),
        head_count=head_count,
        heads_hash=heads.hexdigest(),
        logs_hash=logs_hash(SealedLog.objects.filter(seal_id=sequence)),
        previous_hash=previous.hash if previous else "",
        actor=actor.name,
        created_at=clock.now(),
    )
    seal.hash = seal_hash(fields_of(seal))
    seal.save(force_insert=True)
    return seal
