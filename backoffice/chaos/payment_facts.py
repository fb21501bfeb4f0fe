"""Reading what a run did to money: our own rows of each payment, and the partners' log of effects in its order."""

import urllib.parse
from typing import Any

import psycopg

from backoffice.chaos import switches
from backoffice.chaos.arena import Arena
from backoffice.chaos.facts import Operation, PaymentRow

PAYMENTS = """
    SELECT o.id::text, o.payment_method, o.status, coalesce(l.by_hand, 0)::bigint,
        (SELECT coalesce(sum(f.amount_minor), 0)::bigint FROM orders_refund f
            WHERE f.order_id = o.id AND f.status = 'refused') AS owed,
        (SELECT count(*) FROM orders_refund f WHERE f.order_id = o.id AND f.status IN ('requested', 'sent', 'pending')),
        (SELECT count(*) FROM orders_dispute d WHERE d.order_id = o.id AND d.status IN ('inquiry', 'open')),
        (SELECT count(*) FROM orders_dispute d WHERE d.order_id = o.id),
        coalesce(p.disputed_minor, 0)::bigint,
        (SELECT count(*) FROM orders_orderevent e WHERE e.order_id = o.id AND e.type IN
            ('order.refund_refused', 'order.refund_failed')),
        coalesce(p.waits_for, ''), coalesce(p.wait_until IS NOT NULL, false),
        (SELECT extract(epoch FROM c.decided_at)::float FROM orders_reviewcase c
            WHERE c.order_id = o.id AND c.status = 'approved')
    FROM orders_order o
    LEFT JOIN orders_payment p ON p.order_id = o.id
    LEFT JOIN (
        SELECT order_id, sum(amount_minor) AS by_hand FROM orders_ledgertransfer
        WHERE credit_account = 'by_hand' GROUP BY order_id
    ) l ON l.order_id = o.id
"""
TASKS = """
    SELECT coalesce(o.number, t.batch_id::text), t.kind FROM orders_stafftask t
    LEFT JOIN orders_order o ON o.id = t.order_id WHERE t.status <> 'done' ORDER BY 1, 2
"""


def payments(arena: Arena) -> dict[str, PaymentRow]:
    """Order id -> its payment."""
    names = list(PaymentRow.__dataclass_fields__)
    with psycopg.connect(arena.wiring.database_url) as connection:
        rows = connection.execute(PAYMENTS).fetchall()
    return {row[0]: PaymentRow(**dict(zip(names, row[1:], strict=True))) for row in rows}


def open_tasks(arena: Arena) -> list[tuple[str, str]]:
    with psycopg.connect(arena.wiring.database_url) as connection:
        return [(row[0], row[1]) for row in connection.execute(TASKS)]


def operations(arena: Arena) -> list[Operation]:
    """Every effect at a partner. Raises RuntimeError when the simulator does not show them."""
    found: list[Operation] = []
    after: int | None = 0
    while after is not None:
        query = urllib.parse.urlencode({"after": after, "limit": "1000"})
        page = _asked(arena, f"/oracle/operations?{query}")
        names = Operation.__dataclass_fields__
        found += [Operation(**{name: one[name] for name in names}) for one in page["operations"]]
        after = page["next"]
    return found


def problems(arena: Arena) -> list[str]:
    """Where the gateway's own records of the same money disagree."""
    return list(_asked(arena, "/oracle/summary")["problems"])


def _asked(arena: Arena, path: str) -> dict[str, Any]:
    told = switches.call(f"{arena.wiring.simulator_url}{path}")
    if told is None:
        raise RuntimeError(f"the simulator does not show {path.partition('?')[0]}")
    return told
