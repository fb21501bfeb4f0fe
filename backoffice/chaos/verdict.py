"""Was a promise broken? Compared from outside: acknowledgements, database rows, the partners' books, the engine.

The product's own verifier runs too, but the sums here are made again from raw rows. A verifier that shares its reader
with what it judges would miss what that reader misses.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

TERMINAL = frozenset({"completed", "cancelled", "failed"})
#: a final no, for which a cancelled order may also end as failed
GENUINE = frozenset({"invalid_order", "out_of_stock", "payment_declined", "carrier_rejected"})
#: how many workers must have been hit inside a step before a run without any repeated step is suspicious: one hit may
#: come just after the commit
ENOUGH_HITS = 3


@dataclass(frozen=True, kw_only=True)
class OrderRow:
    id: str
    status: str
    total_minor: int
    #: debits minus credits of the gateway account, and of all accounts together
    gateway_minor: int = 0
    ledger_sum: int = 0
    open_steps: int = 0
    #: shipments that our own table calls booked, and pieces reserved or gone
    shipments: int = 0
    pieces_held: int = 0
    pieces_gone: int = 0
    failure_type: str = ""
    #: unix time at which the step "ship" was committed
    ship_ended: float | None = None
    #: lines of the history, and the commands that they must tell of
    placings: int = 1
    start_lines: int = 1
    starts: int = 1
    #: what our table says went back after completion
    refunded_minor: int = 0
    #: unix times at which the steps forward were committed
    step_ends: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True)
class Hold:
    """A person held the order from the moment of our yes until they asked for its release (unix times)."""

    number: str
    since: float
    until: float


@dataclass(frozen=True, kw_only=True)
class StockRow:
    sku: str
    received: int
    on_hand: int
    reserved: int
    shipped: int
    #: what the reservations add up to
    held: int
    consumed: int


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that was found after the drain."""

    acknowledged: list[tuple[str, str]]
    orders: Mapping[str, OrderRow]
    books: Mapping[str, Mapping[str, Any]]
    stock: list[StockRow]
    outbox: int
    reexecuted_steps: int
    #: what `verify_invariants --json` said
    invariants: Mapping[str, Any]
    complaints: list[str] = field(default_factory=list)
    running_workflows: int = 0
    #: how workflows ended that may not end so: how many
    broken_workflows: Mapping[str, int] = field(default_factory=dict)
    #: (order number, unix time) of each cancellation that the engine accepted
    cancellations: list[tuple[str, float]] = field(default_factory=list)
    #: orders that a clerk had to decide about, and did
    suspicious: frozenset[str] = frozenset()
    approved: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()
    holds: list[Hold] = field(default_factory=list)
    #: (order number, minor units) of each refund that was accepted
    refunds: list[tuple[str, int]] = field(default_factory=list)
    #: customers' names lie in Temporal's files in plain text
    readable: bool = False
    #: workers that were killed or frozen while they were inside a step
    hits: int = 0


@dataclass(frozen=True, kw_only=True)
class Violation:
    #: the counter of the report that it belongs to
    rule: str
    subject: str
    detail: str


#: the product's own rule: the counter that it adds to
COUNTED_AS = {
    "stock": "oversold",
    "reservations": "unfinished_undo",
    "ledger": "ledger_imbalance",
    "steps": "unfinished_undo",
    "one run": "engine",
    "outbox": "outbox",
    "history": "history",
    "books": "books",
}
COUNTERS = ("lost", "double_charges", "ledger_imbalance", "oversold", "stuck", "unfinished_undo", "outbox")


def judge(facts: Facts) -> dict[str, Any]:
    """The counters of the report and every violation; a counter counts subjects, not sentences."""
    found = list(dict.fromkeys(_all(facts)))
    subjects = Counter(rule for rule, _ in {(one.rule, one.subject) for one in found})
    return {
        "orders": len(facts.orders),
        **{name: subjects[name] for name in COUNTERS},
        "outbox": facts.outbox,
        "reexecuted_steps": facts.reexecuted_steps,
        "violations": [{"rule": one.rule, "subject": one.subject, "detail": one.detail} for one in found],
    }


def _all(facts: Facts) -> Iterable[Violation]:
    yield from _promises(facts)
    for number, order in facts.orders.items():
        yield from _order(number, order, facts.books.get(order.id))
    yield from _strangers(facts)
    yield from _stock(facts.stock)
    if facts.outbox:
        yield Violation(rule="outbox", subject="outbox", detail=f"{facts.outbox} messages were never delivered")
    if facts.running_workflows:
        yield Violation(rule="stuck", subject="engine", detail=f"{facts.running_workflows} workflows still run")
    for what, count in facts.broken_workflows.items():
        yield Violation(rule="engine", subject="engine", detail=f"{count} workflows are {what}")
    for number, at in facts.cancellations:
        yield from _cancellation(number, at, facts.orders.get(number))
    yield from _clerk(facts)
    if facts.readable:
        yield Violation(rule="readable", subject="engine", detail="customers' names lie in Temporal's files")
    if facts.hits >= ENOUGH_HITS and not facts.reexecuted_steps:
        detail = f"{facts.hits} workers were hit inside a step, and no step ran twice: this run proves nothing"
        yield Violation(rule="proof", subject="run", detail=detail)
    for one in facts.invariants.get("violations", []):
        rule = COUNTED_AS.get(one["invariant"], one["invariant"])
        yield Violation(rule=rule, subject=one["subject"], detail=f"verify_invariants: {one['detail']}")
    for name, why in facts.invariants.get("unchecked", {}).items():
        yield Violation(rule="unchecked", subject=name, detail=why)
    if "ok" not in facts.invariants:
        yield Violation(rule="unchecked", subject="verify_invariants", detail="it gave no report")
    for words in facts.complaints:
        yield Violation(rule="clients", subject="clients", detail=words)


def _promises(facts: Facts) -> Iterable[Violation]:
    """Every acknowledged order exists, once; and nobody got an order that nobody was told of."""
    told = Counter(number for _, number in facts.acknowledged)
    for key, number in facts.acknowledged:
        if number not in facts.orders:
            yield Violation(rule="lost", subject=number, detail=f"acknowledged to {key}, not in the database")
        if told[number] > 1:
            yield Violation(rule="clients", subject=number, detail=f"acknowledged to {told[number]} clients")
    for number in facts.orders.keys() - told.keys():
        yield Violation(rule="clients", subject=number, detail="in the database, acknowledged to no client")


def _cancellation(number: str, at: float, order: OrderRow | None) -> Iterable[Violation]:
    """Who was told yes sees the order cancelled, unless it had shipped before or failed for a reason of its own."""
    if order is None or order.status not in TERMINAL:
        return
    if order.status == "failed" and order.failure_type not in GENUINE:
        yield Violation(rule="cancellation", subject=number, detail=f"cancelled, it failed as {order.failure_type}")
    if order.status == "completed" and order.ship_ended is not None and order.ship_ended > at:
        late = order.ship_ended - at
        yield Violation(rule="cancellation", subject=number, detail=f"it shipped {late:.1f} s after its cancellation")


def _clerk(facts: Facts) -> Iterable[Violation]:
    """What a person decided, held or gave back is what happened, and no more."""
    changed_their_mind = {number for number, _ in facts.cancellations}
    promised: Counter[str] = Counter()
    for number, amount in facts.refunds:
        promised[number] += amount
    for number, order in facts.orders.items():
        books = facts.books.get(order.id)
        if number in facts.suspicious - facts.approved and (order.status == "completed" or _charged(books)):
            yield Violation(rule="review", subject=number, detail=f"{order.status}, charged {_charged(books)}, no yes")
        ended_well = order.status == "completed" or order.failure_type in GENUINE or number in changed_their_mind
        if number in facts.approved and order.status in TERMINAL and not ended_well:
            detail = f"approved, and it ended as {order.status}: {order.failure_type}"
            yield Violation(rule="review", subject=number, detail=detail)
        if order.refunded_minor != promised[number]:
            detail = f"{order.refunded_minor} went back, {promised[number]} was accepted"
            yield Violation(rule="refunds", subject=number, detail=detail)
    for hold in facts.holds:
        held = facts.orders.get(hold.number)
        ended = sorted(at for at in held.step_ends if hold.since < at < hold.until) if held else []
        # The one that was under way ends first.
        if len(ended) > 1:
            detail = f"{len(ended)} steps ended while it was held"
            yield Violation(rule="hold", subject=hold.number, detail=detail)


def _charged(books: Mapping[str, Any] | None) -> int:
    return int(books["charged_minor"]) if books else 0


def _order(number: str, order: OrderRow, books: Mapping[str, Any] | None) -> Iterable[Violation]:
    if order.status not in TERMINAL:
        yield Violation(rule="stuck", subject=number, detail=f"still {order.status} after the drain")
        if order.status == "undoing":
            yield Violation(rule="unfinished_undo", subject=number, detail="its undo has not ended")
        return
    completed = order.status == "completed"
    earned = order.total_minor - order.refunded_minor if completed else 0
    net, charged = (books["net_minor"], books["charged_minor"]) if books else (0, 0)
    kept = order.pieces_held + order.pieces_gone
    rules = (
        ("double_charges", charged <= order.total_minor, f"charged {charged} of {order.total_minor}"),
        ("double_charges", not books or books["captures"] <= 1, f"charged {books and books['captures']} times"),
        ("ledger_imbalance", order.ledger_sum == 0, f"its ledger adds up to {order.ledger_sum}"),
        ("ledger_imbalance", order.gateway_minor == net, f"ledger {order.gateway_minor}, gateway {net}"),
        ("ledger_imbalance", not completed or net == earned, f"completed, the gateway holds {net} of {earned}"),
        ("unfinished_undo", completed or net == 0, f"{order.status}, the gateway still holds {net}"),
        ("unfinished_undo", completed or kept == 0, f"{order.status}, it keeps {kept} pieces"),
        ("unfinished_undo", completed or order.shipments == 0, f"{order.status}, a shipment stands in our table"),
        ("unfinished_undo", order.open_steps == 0, f"{order.open_steps} steps are open"),
        ("oversold", not completed or order.pieces_held == 0, f"completed, {order.pieces_held} pieces still held"),
        ("history", order.placings == 1, f"its history tells {order.placings} times that it was placed"),
        ("history", order.start_lines == order.starts, f"{order.start_lines} starts told, {order.starts} commanded"),
        ("books", _shipped(books) == int(completed), f"{order.status}, {_shipped(books)} shipments at the carrier"),
    )
    yield from (Violation(rule=rule, subject=number, detail=detail) for rule, holds, detail in rules if not holds)


def _shipped(books: Mapping[str, Any] | None) -> int:
    return int(books["shipments_booked"]) if books else 0


def _strangers(facts: Facts) -> Iterable[Violation]:
    known = {order.id for order in facts.orders.values()}
    for order_id in facts.books.keys() - known:
        yield Violation(rule="books", subject=order_id or "no order", detail="the partners know it, we do not")


def _stock(rows: Iterable[StockRow]) -> Iterable[Violation]:
    for row in rows:
        if row.held + row.consumed > row.received or min(row.on_hand, row.reserved, row.shipped) < 0:
            detail = f"{row.held} held and {row.consumed} shipped of {row.received}"
            yield Violation(rule="oversold", subject=row.sku, detail=detail)
        if (row.reserved, row.shipped, row.on_hand) != (row.held, row.consumed, row.received - row.consumed):
            detail = f"counted {row.reserved}/{row.shipped}, the orders say {row.held}/{row.consumed}"
            yield Violation(rule="oversold", subject=row.sku, detail=detail)
