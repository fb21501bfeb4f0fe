"""Was a database from a minute ago taken for the truth? And: what may be missing after that, because it was set back.

Clients, clerk and office were promised what the copy does not know; that is what a backup costs, and nobody's fault.
What must hold is that nothing was undone, given back or started again before a lead had looked, that one incident told
them, and that all books agree in the end.
"""

from collections.abc import Iterable
from dataclasses import replace

from backoffice.chaos.facts import Facts, Setback, Violation

#: effects at a partner that take back what was done, or do it once more
UNDONE = frozenset({"refunds.create", "payment_intents.cancel", "shipments.cancel"})
AGAIN = frozenset({"payment_intents.charge", "shipments.book"})


def judge_setback(facts: Facts, setback: Setback) -> Iterable[Violation]:
    """Every way in which the old database was believed."""
    if setback.incidents != 1:
        detail = f"{setback.incidents} incidents tell of the restored database"
        yield Violation(rule="unattended", subject="database", detail=detail)
    # What a person asked for is no deed of the product's.
    asked = facts.asked_to_cancel | {number for number, _ in (*facts.refunds, *facts.returns)}
    people = {order.id for number, order in facts.orders.items() if number in asked}
    for one in facts.operations:
        by_itself = setback.since < one.at < setback.until and one.order in setback.done - people
        if by_itself and one.operation in UNDONE | AGAIN:
            detail = f"{one.operation} by itself, {one.at - setback.since:.0f} s after the database was set back"
            yield Violation(rule="by_itself", subject=one.order, detail=detail)
    for order in setback.started & setback.done - people:
        yield Violation(rule="by_itself", subject=order, detail="a run began by itself after the database was set back")
    for order, number in setback.forgotten.items():
        books = facts.books.get(order)
        names = {order, number, *(one.object_id for one in facts.operations if one.order == order)} - {""}
        if books and books["net_minor"] and not any(name in setback.told for name in names):
            detail = f"the gateway holds {books['net_minor']} for an order without a row, and nobody is told of it"
            yield Violation(rule="unattended", subject=number, detail=detail)


def proves_nothing(setback: Setback) -> str:
    """Why the setback could not have found anything; empty when it could."""
    return "" if setback.done else "no order had ended that the restored database has otherwise"


def without_promises(facts: Facts, setback: Setback) -> Facts:
    """The facts without what was promised about orders that the restored database has otherwise, or not at all."""
    older = setback.older
    # A lead had money of some given back: their new rows have neither lines nor a beginning.
    made = {number: one for number, one in facts.orders.items() if one.id in setback.forgotten}
    ids = {one.id for one in made.values()}
    # Of what went back the copy may know less than the people who asked for it, or more.
    back = [(number, facts.orders[number]) for number in older & facts.orders.keys()]
    gone = frozenset(f"order:{order}" for order in setback.forgotten)
    return replace(
        facts,
        acknowledged=[(key, number) for key, number in facts.acknowledged if not _is_lost(number, facts, setback)]
        + [("a file", number) for number in made.keys() - {number for _, number in facts.acknowledged}],
        orders={**facts.orders, **{number: replace(one, placings=1) for number, one in made.items()}},
        books={order: books for order, books in facts.books.items() if order not in setback.forgotten or order in ids},
        cancellations=[one for one in facts.cancellations if one[0] not in older],
        suspicious=facts.suspicious - older,
        approved=facts.approved - older,
        rejected=facts.rejected - older,
        holds=[one for one in facts.holds if one.number not in older],
        refunds=[one for one in facts.refunds if one[0] not in older]
        + [(number, one.refunded_minor + one.settled_minor + one.dropped_minor) for number, one in back],
        returns=[one for one in facts.returns if one[0] not in older]
        + [(number, one.pieces_back) for number, one in back],
        invoices=facts.invoices & {one.reference for one in facts.orders.values()},
        complaints=[words for words in facts.complaints if not any(run in words for run in setback.forgotten_runs)],
        struck=facts.struck | gone,
        waited=[one for one in facts.waited if one.number not in older],
        runs=[one for one in facts.runs if one.id not in setback.forgotten_runs],
        ended=facts.ended | older,
    )


def _is_lost(number: str, facts: Facts, setback: Setback) -> bool:
    return number in setback.forgotten.values() and number not in facts.orders
