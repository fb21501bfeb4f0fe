"""The partners' books as an outside witness: what was really charged, refunded and shipped per order.

Invariant checks compare the product's ledger with this and never with the product's own memory. Charges that name no
order are listed under the empty order, not hidden: an orphan charge is the very thing the witness is there to report.
"""

import json
import sqlite3
from typing import Any

from simulator.store import Store
from simulator.wire import Request, Response, answer, query_integer

MAX_LIMIT = 10_000
DEFAULT_LIMIT = 1_000
NO_BOOKS: dict[str, Any] = {
    "currency": None,
    "intents": 0,
    "charged_minor": 0,
    "refunded_minor": 0,
    "net_minor": 0,
    "captures": 0,
    "refunds": 0,
    "refunds_failed": 0,
    "refund_failed_minor": 0,
    "disputes": 0,
    "disputed_minor": 0,
    "processing_minor": 0,
    "statuses": {},
    "open_authorized_minor": 0,
    "uncancelled_intents": 0,
    "shipments_booked": 0,
    "shipments_cancelled": 0,
}
# One currency per order is the rule; NULL says that the sums of this order mix currencies and mean nothing.
PAYMENT_SUMS = """
SELECT order_ref, CASE WHEN COUNT(DISTINCT currency) = 1 THEN MIN(currency) END AS currency, COUNT(*) AS intents,
    SUM(amount_received) AS charged_minor, SUM(amount_refunded) AS refunded_minor,
    SUM(amount_disputed) AS disputed_minor,
    SUM(amount_received - amount_refunded - amount_disputed) AS net_minor, SUM(amount_received > 0) AS captures,
    SUM(CASE WHEN status = 'processing' THEN amount ELSE 0 END) AS processing_minor,
    SUM(amount_capturable) AS open_authorized_minor, SUM(status <> 'canceled') AS uncancelled_intents
FROM intents WHERE order_ref BETWEEN ? AND ? GROUP BY order_ref
"""
STATUSES = """
SELECT order_ref, json_group_object(status, n) AS statuses FROM (
    SELECT order_ref, status, COUNT(*) AS n FROM intents WHERE order_ref BETWEEN ? AND ? GROUP BY order_ref, status
) GROUP BY order_ref
"""
REFUND_COUNTS = """
SELECT order_ref, SUM(status NOT IN ('failed', 'canceled')) AS refunds, SUM(status = 'failed') AS refunds_failed,
    SUM(CASE WHEN status = 'failed' THEN amount ELSE 0 END) AS refund_failed_minor
FROM refunds WHERE order_ref BETWEEN ? AND ? GROUP BY order_ref
"""
DISPUTE_COUNTS = (
    "SELECT order_ref, COUNT(*) AS disputes FROM disputes WHERE order_ref BETWEEN ? AND ? GROUP BY order_ref"
)
# Tombstones were never booked: they are in the log of operations, not among the shipments.
SHIPMENT_COUNTS = """
SELECT order_ref, SUM(status <> 'cancelled') AS shipments_booked, SUM(status = 'cancelled') AS shipments_cancelled
FROM shipments WHERE fingerprint IS NOT NULL AND order_ref BETWEEN ? AND ? GROUP BY order_ref
"""
OPERATION_COLUMNS = """
SELECT seq, at, partner, operation, order_ref AS "order", object_id, charged_minor, refunded_minor,
    disputed_minor, currency, idempotency_key FROM operations
"""
ALL_OPERATIONS = f"{OPERATION_COLUMNS} WHERE seq > :after ORDER BY seq LIMIT :limit"
OPERATIONS_OF_ORDER = f"{OPERATION_COLUMNS} WHERE order_ref = :order AND seq > :after ORDER BY seq LIMIT :limit"
ORDER_PAGE = """
SELECT order_ref FROM (SELECT DISTINCT order_ref FROM intents WHERE order_ref > :after ORDER BY order_ref LIMIT :limit)
UNION
SELECT order_ref FROM (SELECT DISTINCT order_ref FROM shipments WHERE fingerprint IS NOT NULL AND order_ref > :after
                       ORDER BY order_ref LIMIT :limit)
ORDER BY order_ref LIMIT :limit
"""


def orders(store: Store, request: Request) -> Response:
    """GET /oracle/orders?order=&after=&limit=: {orders: {order: books}, next}. Amounts in minor units.

    `next` is the value for `after` of the following page, or null. `charged_minor` is all that was ever taken,
    `refunded_minor` what went back or is on its way (not what failed or was canceled), `disputed_minor` what banks
    withdrew and did not give back, `net_minor` what is left; `processing_minor` may still come. `refunds` counts what
    went back or is on its way, `statuses` how many intents stand in which status, `captures` those that took money,
    `uncancelled_intents` every one not canceled, `shipments_booked` those that stand (also in transit or delivered).
    Charges without an order come on the first page, under the empty order and beyond the limit.
    """
    limit = query_integer(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    wanted, after = request.query.get("order"), request.query.get("after", "")
    with store.read() as snapshot:
        if wanted is not None:
            return answer(200, {"orders": _books(snapshot, wanted, wanted), "next": None})
        page = {"after": after, "limit": limit + 1}
        names = [row["order_ref"] for row in snapshot.execute(ORDER_PAGE, page)]
        shown = names[:limit]
        # An empty cursor is the start, where the orphans are; counted as a row they would become a cursor themselves.
        span = shown if after else ["", *shown]
        books = _books(snapshot, span[0], span[-1]) if span else {}
    return answer(200, {"orders": books, "next": shown[-1] if len(names) > limit else None})


def operations(store: Store, request: Request) -> Response:
    """GET /oracle/operations?order=&after=&limit=: every effect in the order it was committed; `at` is Unix time.

    `after` is the `seq` of the last one seen, as given by `next`.
    """
    limit = query_integer(request, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)
    after = query_integer(request, "after", 0, 0, 2**59)
    wanted = request.query.get("order")
    with store.read() as snapshot:
        rows = snapshot.execute(
            ALL_OPERATIONS if wanted is None else OPERATIONS_OF_ORDER,
            {"order": wanted, "after": after, "limit": limit + 1},
        ).fetchall()
    shown = [dict(row) for row in rows[:limit]]
    return answer(200, {"operations": shown, "next": rows[limit - 1]["seq"] if len(rows) > limit else None})


def summary(store: Store, request: Request) -> Response:
    """GET /oracle/summary: totals per currency, counts, and `problems`: where books and log disagree (always empty)."""
    with store.read() as snapshot:
        totals = {
            row["currency"]: {name: value for name, value in dict(row).items() if name != "currency"}
            for row in snapshot.execute(
                "SELECT currency, COUNT(*) AS intents, SUM(amount_received) AS charged_minor,"
                " SUM(amount_refunded) AS refunded_minor, SUM(amount_disputed) AS disputed_minor,"
                " SUM(amount_received - amount_refunded - amount_disputed) AS net_minor,"
                " SUM(amount_capturable) AS open_authorized_minor FROM intents GROUP BY currency"
            )
        }
        counts = snapshot.execute(
            "SELECT (SELECT COUNT(*) FROM (SELECT order_ref FROM intents UNION SELECT order_ref FROM shipments"
            "  WHERE fingerprint IS NOT NULL)) AS orders,"
            " (SELECT COUNT(*) FROM intents WHERE amount_received > 0) AS captures,"
            " (SELECT COUNT(*) FROM refunds WHERE status NOT IN ('failed', 'canceled')) AS refunds,"
            " (SELECT COUNT(*) FROM refunds WHERE status = 'failed') AS refunds_failed,"
            " (SELECT COUNT(*) FROM disputes) AS disputes, (SELECT COUNT(*) FROM events) AS events,"
            " (SELECT COUNT(*) FROM deliveries WHERE state = 'pending') AS deliveries_pending,"
            " (SELECT COUNT(*) FROM deliveries WHERE state = 'delivered') AS deliveries_delivered,"
            " (SELECT COUNT(*) FROM deliveries WHERE state = 'failed') AS deliveries_failed,"
            " (SELECT COUNT(*) FROM deliveries WHERE state = 'lost') AS deliveries_lost,"
            " (SELECT COUNT(*) FROM shipments WHERE status <> 'cancelled') AS shipments_booked,"
            " (SELECT COUNT(*) FROM shipments WHERE status = 'cancelled' AND fingerprint IS NOT NULL)"
            "  AS shipments_cancelled,"
            " (SELECT COUNT(*) FROM shipments WHERE fingerprint IS NULL) AS shipments_refused_later,"
            " (SELECT COUNT(*) FROM operations) AS operations, (SELECT COUNT(*) FROM idempotency) AS saved_answers"
        ).fetchone()
        problems = _problems(snapshot)
    return answer(200, {**dict(counts), "currencies": totals, "problems": problems})


def _books(snapshot: sqlite3.Connection, first: str, last: str) -> dict[str, dict[str, Any]]:
    books: dict[str, dict[str, Any]] = {}
    for query in (PAYMENT_SUMS, STATUSES, REFUND_COUNTS, DISPUTE_COUNTS, SHIPMENT_COUNTS):
        for row in snapshot.execute(query, (first, last)):
            books.setdefault(row["order_ref"], dict(NO_BOOKS)).update(
                {name: value for name, value in dict(row).items() if name != "order_ref"}
            )
    for one in books.values():
        if isinstance(one["statuses"], str):
            one["statuses"] = json.loads(one["statuses"])
    return dict(sorted(books.items()))


def _problems(snapshot: sqlite3.Connection) -> list[str]:
    """Compare the records of the same money: intents, charges, refunds and disputes, and the log of operations."""
    intents = _sums(snapshot, "SELECT SUM(amount_received), SUM(amount_refunded), SUM(amount_disputed) FROM intents")
    charges = _sums(snapshot, "SELECT SUM(amount_captured), SUM(amount_refunded), 0 FROM charges")
    refunds = _sums(
        snapshot,
        "SELECT 0, SUM(CASE WHEN status NOT IN ('failed', 'canceled') THEN amount END), 0 FROM refunds",
    )
    disputes = _sums(snapshot, "SELECT 0, 0, SUM(amount_withdrawn) FROM disputes")
    log = _sums(snapshot, "SELECT SUM(charged_minor), SUM(refunded_minor), SUM(disputed_minor) FROM operations")
    problems = []
    if intents != log:
        problems.append(f"intents say charged, refunded, disputed = {intents}, the log of operations says {log}")
    if (charges[0], refunds[1], disputes[2]) != intents:
        of_objects = (charges[0], refunds[1], disputes[2])
        problems.append(f"charges, refunds and disputes add up to {of_objects}, intents say {intents}")
    if charges[1] != refunds[1]:
        problems.append(f"refunds add up to {refunds[1]}, charges say {charges[1]}")
    return problems


def _sums(snapshot: sqlite3.Connection, query: str) -> tuple[int, int, int]:
    row = snapshot.execute(query).fetchone()
    return (row[0] or 0, row[1] or 0, row[2] or 0)
