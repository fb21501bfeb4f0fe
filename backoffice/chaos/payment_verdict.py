"""Was a promise about money broken? The gateway's books against our ledger, effect by effect, and every wait.

Apart from the rest of the verdict because its witness is another one: the log in which the partners wrote each effect
at the moment they had it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from backoffice.chaos.facts import TERMINAL, Facts, Operation, OrderRow, PaymentRow, Violation
from backoffice.chaos.methods import kind_of

WAITING = "awaiting_payment"
CHARGE, BOOK = "payment_intents.charge", "shipments.book"
NO_PAYMENT = PaymentRow()


def judge_payments(facts: Facts) -> Iterable[Violation]:
    """Every broken promise about payments, waits and the order of effects."""
    by_order: dict[str, list[Operation]] = defaultdict(list)
    for operation in facts.operations:
        by_order[operation.order].append(operation)
    for number, order in facts.orders.items():
        payment = facts.payments.get(order.id, NO_PAYMENT)
        yield from _money(number, order, payment, facts.books.get(order.id))
        yield from _left(number, order, payment)
        must_be_approved = number in facts.suspicious
        yield from _in_turn(number, by_order[order.id], payment, must_be_approved=must_be_approved)
    for waited in facts.waited:
        if not waited.says or not waited.until:
            missing = "no deadline" if waited.says else "no sentence"
            yield Violation(rule="waiting", subject=waited.number, detail=f"it waited for its payment with {missing}")
    for problem in facts.book_problems:
        yield Violation(rule="books", subject="gateway", detail=problem)
    for number, kind in facts.open_tasks:
        yield Violation(rule="tasks", subject=number, detail=f"a task {kind} is left, which nobody could settle")
    if facts.deeds is not None:
        yield from _strangers(facts)


def ends(facts: Facts) -> dict[str, dict[str, int]]:
    """Kind of payment method -> end of its orders -> how many; owed and disputed ones are counted besides."""
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for order in facts.orders.values():
        payment = facts.payments.get(order.id, NO_PAYMENT)
        kind = counted[kind_of(payment.method)]
        kind["waiting" if order.status == WAITING else order.status] += 1
        kind["owed"] += bool(payment.refused)
        kind["disputed"] += bool(payment.disputes)
    return {name: {end: many for end, many in sorted(some.items()) if many} for name, some in sorted(counted.items())}


def _money(number: str, order: OrderRow, payment: PaymentRow, books: Mapping[str, Any] | None) -> Iterable[Violation]:
    """What the gateway holds is what our ledger says, and what the customer has is what they should have."""
    if order.status not in TERMINAL:
        return
    net, disputed = (books["net_minor"], books["disputed_minor"]) if books else (0, 0)
    if order.gateway_minor != net:
        detail = f"ledger {order.gateway_minor}, gateway {net}"
        yield Violation(rule="ledger_imbalance", subject=number, detail=detail)
    if order.status == "completed":
        earned = order.total_minor - order.refunded_minor - disputed
        if net != earned:
            detail = f"completed, the gateway holds {net} of {earned}"
            yield Violation(rule="ledger_imbalance", subject=number, detail=detail)
        return
    # Whoever's bank took the money back has it; the rest went back, by whatever way, or is owed.
    kept = net + disputed - payment.by_hand_minor - payment.owed_minor
    if not 0 <= kept <= disputed:
        detail = f"{order.status}, the gateway still holds {net}; {payment.by_hand_minor} were paid back by hand"
        yield Violation(rule="unfinished_undo", subject=number, detail=detail)


def _left(number: str, order: OrderRow, payment: PaymentRow) -> Iterable[Violation]:
    """Whatever is not over waits with a deadline, or somebody has not done their work."""
    if order.status == WAITING and not (payment.waits_for and payment.has_deadline):
        yield Violation(rule="waiting", subject=number, detail="it waits for its payment without end")
    if payment.owed_minor:
        yield Violation(rule="owed", subject=number, detail=f"{payment.owed_minor} are owed still, and nobody can pay")
    if payment.pending:
        yield Violation(rule="stuck", subject=number, detail=f"{payment.pending} refunds are under way after the drain")
    if payment.open_disputes:
        yield Violation(rule="stuck", subject=number, detail="a dispute is open by our books, after the drain")


def _in_turn(
    number: str, operations: Iterable[Operation], payment: PaymentRow, *, must_be_approved: bool
) -> Iterable[Violation]:
    """No parcel at any moment of an order that was not paid just then, and none before a person's yes."""
    held = 0
    for operation in sorted(operations, key=lambda one: one.seq):
        held += operation.charged_minor - operation.refunded_minor
        if operation.operation != BOOK:
            continue
        if held <= 0:
            yield Violation(rule="unpaid", subject=number, detail=f"booked at the carrier with {held} paid")
        if must_be_approved and not (payment.approved_at and payment.approved_at <= operation.at):
            yield Violation(rule="review", subject=number, detail="booked at the carrier before anybody approved it")


def _strangers(facts: Facts) -> Iterable[Violation]:
    deeds = facts.deeds
    assert deeds is not None
    if not deeds.counts:
        yield Violation(rule="proof", subject="stranger", detail="the stranger did nothing: its part proves nothing")
    asked = facts.asked_to_cancel | {number for number, _ in facts.cancellations}
    for number, order in facts.orders.items():
        if f"order:{order.id}" in deeds.cancelled and number not in asked and order.failure_type == "cancelled":
            detail = f"{order.status} by a cancellation at Temporal that nobody had asked us for"
            yield Violation(rule="forged", subject=number, detail=detail)
