"""Was a promise broken? Compared from outside: acknowledgements, database rows, the partners' books, the engine.

The product's own verifier runs too, but the sums here are made again from raw rows. A verifier that shares its reader
with what it judges would miss what that reader misses.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from backoffice.chaos import restore_verdict
from backoffice.chaos.facts import TERMINAL, Facts, OrderRow, RunRow, StockRow, Violation
from backoffice.chaos.payment_verdict import NO_PAYMENT, ends, judge_payments
from backoffice.chaos.restore_verdict import judge_setback, without_promises
from backoffice.chaos.trouble_verdict import figures, judge_troubles, proves_nothing

#: the rule of a run that could not have found anything
PROOF = "proof"
#: how such a run ends
NOTHING_PROVED = 2
#: a final no, for which a cancelled order may also end as failed
GENUINE = frozenset({"invalid_order", "out_of_stock", "payment_declined", "carrier_rejected"})
#: how an order ends whose workflow was terminated: undone by its recovery
RECOVERED = "process_ended"
#: how many workers must have been hit inside a step before a run without any repeated step is suspicious: one hit may
#: come just after the commit
ENOUGH_HITS = 3


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
COUNTERS = (
    "lost",
    "double_charges",
    "ledger_imbalance",
    "oversold",
    "stuck",
    "unfinished_undo",
    "outbox",
    "unattended",
)


def judge(facts: Facts) -> dict[str, Any]:
    """The counters of the report and every violation; a counter counts subjects, not sentences."""
    found = list(dict.fromkeys(_all(facts if facts.setback is None else without_promises(facts, facts.setback))))
    if facts.setback is not None:
        found += judge_setback(facts, facts.setback)
    subjects = Counter(rule for rule, _ in {(one.rule, one.subject) for one in found})
    return {
        "orders": len(facts.orders),
        **{name: subjects[name] for name in COUNTERS},
        "outbox": facts.outbox,
        "reexecuted_steps": facts.reexecuted_steps,
        "terminated": len(facts.terminated),
        "methods": ends(facts),
        "stranger": dict(facts.deeds.counts) if facts.deeds else {},
        "troubles": figures(facts),
        "violations": [{"rule": one.rule, "subject": one.subject, "detail": one.detail} for one in found],
    }


def exit_code(report: Mapping[str, Any]) -> int:
    """0 for a sound run, 1 for a broken promise, 2 for a run that could not have found one.

    Apart, because a run without a guard must end with 1: one in which nothing worked at all would pass for it.
    """
    rules = {one["rule"] for one in report["violations"]}
    return NOTHING_PROVED if PROOF in rules else 1 if rules else 0


def _all(facts: Facts) -> Iterable[Violation]:
    yield from _promises(facts)
    for number, order in facts.orders.items():
        yield from _order(number, order, facts.books.get(order.id))
    yield from judge_payments(facts)
    yield from judge_troubles(facts)
    for run in facts.runs:
        yield from _run(run)
    yield from _operator(facts)
    yield from _unknown_to_us(facts)
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
    strangers = facts.deeds.started if facts.deeds else frozenset()
    if not facts.acknowledged:
        yield Violation(rule=PROOF, subject="run", detail="no order was acknowledged: this run proves nothing")
    if facts.hits >= ENOUGH_HITS and not facts.reexecuted_steps:
        detail = f"{facts.hits} workers were hit inside a step, and no step ran twice: this run proves nothing"
        yield Violation(rule=PROOF, subject="run", detail=detail)
    if nothing := proves_nothing(facts) or (facts.setback and restore_verdict.proves_nothing(facts.setback)):
        yield Violation(rule=PROOF, subject="run", detail=f"{nothing}: this run proves nothing")
    for one in facts.invariants.get("violations", []):
        if f"order:{one['subject']}" in strangers or _is_operators(one, facts):
            continue
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
    imported = {order.reference: number for number, order in facts.orders.items() if order.reference}
    for invoice in facts.invoices - imported.keys():
        yield Violation(rule="lost", subject=invoice, detail="its file was taken, and no order was made of it")
    known = told.keys() | {imported[invoice] for invoice in facts.invoices & imported.keys()}
    for number in facts.orders.keys() - known:
        yield Violation(rule="clients", subject=number, detail="in the database, acknowledged to no client")


def _run(run: RunRow) -> Iterable[Violation]:
    """What the office was promised has ended as it must, with a result for each of its parts."""
    if not run.status:
        yield Violation(rule="lost", subject=run.id, detail=f"this {run.kind} was acknowledged, and is not there")
    elif run.status != "completed":
        yield Violation(rule="runs", subject=run.id, detail=f"this {run.kind} is {run.status} after the drain")
    if run.unfinished:
        yield Violation(rule="runs", subject=run.id, detail=f"{run.unfinished} parts of this {run.kind} have no result")


def _operator(facts: Facts) -> Iterable[Violation]:
    """Only what somebody wrote down is terminated; how it ends is judged like all others."""
    allowed = {f"order:{facts.orders[number].id}" for number in facts.ended & facts.orders.keys()}
    allowed |= facts.struck | (facts.deeds.started if facts.deeds else frozenset())
    for workflow in facts.terminated - allowed:
        yield Violation(rule="engine", subject=workflow, detail="it was terminated, and nobody says that they did it")
    # After a restored backup a lead has many an order undone by another run.
    for number in facts.recovered - facts.ended if facts.setback is None else ():
        detail = "another run had to undo it, and nobody had ended its own"
        yield Violation(rule="engine", subject=number, detail=detail)
    for number in facts.ended & facts.orders.keys():
        order = facts.orders[number]
        if order.status == "failed" and order.failure_type not in GENUINE | {RECOVERED}:
            detail = f"its workflow was terminated, it failed as {order.failure_type}"
            yield Violation(rule="engine", subject=number, detail=detail)


def _is_operators(said: Mapping[str, str], facts: Facts) -> bool:
    """Whether it is about an order that had ended when the clerk had its workflow terminated, a moment too late."""
    order = facts.orders.get(said["subject"])
    terminated = said["invariant"] == "one run" and said["detail"].endswith("is terminated")
    return terminated and said["subject"] in facts.ended and order is not None and order.status in TERMINAL


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
    promised, came = _sums(facts.refunds), _sums(facts.returns)
    for number, order in facts.orders.items():
        books = facts.books.get(order.id)
        if number in facts.suspicious - facts.approved and (order.status == "completed" or _charged(books)):
            yield Violation(rule="review", subject=number, detail=f"{order.status}, charged {_charged(books)}, no yes")
        excused = number in changed_their_mind or (number in facts.ended and order.failure_type == RECOVERED)
        ended_well = order.status == "completed" or order.failure_type in GENUINE or excused
        if number in facts.approved and order.status in TERMINAL and not ended_well:
            detail = f"approved, and it ended as {order.status}: {order.failure_type}"
            yield Violation(rule="review", subject=number, detail=detail)
        back = order.refunded_minor + order.settled_minor
        # What an undo gives back is everything, and is judged with the money.
        # What a customer's bank took back is not given a second time, and the history must say of how much that is so.
        disputed = bool(facts.payments.get(order.id, NO_PAYMENT).disputes)
        dropped = order.dropped_minor if disputed else 0
        if order.status == "completed" and back + dropped != promised[number]:
            detail = f"{back} went back, {promised[number]} was accepted, {order.dropped_minor} was dropped"
            yield Violation(rule="refunds", subject=number, detail=detail)
        if order.pieces_back != came[number]:
            detail = f"{order.pieces_back} pieces came back, {came[number]} were received"
            yield Violation(rule="returns", subject=number, detail=detail)
    for hold in facts.holds:
        held = facts.orders.get(hold.number)
        ended = sorted(at for at in held.step_ends if hold.since < at < hold.until) if held else []
        # The one that was under way ends first.
        if len(ended) > 1:
            detail = f"{len(ended)} steps ended while it was held"
            yield Violation(rule="hold", subject=hold.number, detail=detail)


def _sums(told: Iterable[tuple[str, int]]) -> Counter[str]:
    sums: Counter[str] = Counter()
    for number, amount in told:
        sums[number] += amount
    return sums


def _charged(books: Mapping[str, Any] | None) -> int:
    return int(books["charged_minor"]) if books else 0


def _order(number: str, order: OrderRow, books: Mapping[str, Any] | None) -> Iterable[Violation]:
    if order.status not in TERMINAL:
        yield Violation(rule="stuck", subject=number, detail=f"still {order.status} after the drain")
        if order.status == "undoing":
            yield Violation(rule="unfinished_undo", subject=number, detail="its undo has not ended")
        return
    completed = order.status == "completed"
    charged = _charged(books)
    kept = order.pieces_held + order.pieces_gone
    rules = (
        ("double_charges", charged <= order.total_minor, f"charged {charged} of {order.total_minor}"),
        ("double_charges", not books or books["captures"] <= 1, f"charged {books and books['captures']} times"),
        ("ledger_imbalance", order.ledger_sum == 0, f"its ledger adds up to {order.ledger_sum}"),
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


def _unknown_to_us(facts: Facts) -> Iterable[Violation]:
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
