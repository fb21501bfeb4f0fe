"""Entries of the gateway's lists against our books, order by order, set-based.

The rule is one: what the gateway holds for an order (taken, less given back, less taken back by a bank) is what our
ledger says, taken at most once, with nothing left held on a card. A page shows some entries of an order; the others are
taken to be as our rows have them, for they were compared with a page of their own, or will be. So one page is enough to
say whether it agrees, and a sum that only agrees by two mistakes still shows entry by entry.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from orders.amounts import money
from orders.partners.gateway_books import BookedDispute, BookedIntent, Page, given_back_minor
from orders.partners.payments import GatewayRefund, RefundState
from orders.services.books.ours import Ours, of_orders, orders_of_payments
from orders.vocabulary import Currency, DifferenceKind, StepName


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One thing that does not agree, in a sentence."""

    kind: DifferenceKind
    #: the gateway's id of what it is about, or the order's number
    reference: str
    says: str


@dataclass(kw_only=True)
class OrderBooks:
    """What some of the gateway's lists have of one order."""

    payments: list[BookedIntent] = field(default_factory=list)
    refunds: list[GatewayRefund] = field(default_factory=list)
    disputes: list[BookedDispute] = field(default_factory=list)


@dataclass(kw_only=True)
class Comparison:
    """What came of comparing a page. Filled in by `compare`, then left."""

    #: order id -> what differs, of the orders that were compared: nothing where all agrees
    orders: dict[str, list[Difference]] = field(default_factory=dict)
    #: the gateway's payments of those orders that the page named
    payments: dict[str, set[str]] = field(default_factory=dict)
    #: orders that were left out: between the gateway's answer and our booking the two differ rightly
    moving: set[str] = field(default_factory=set)
    #: money that belongs to no order of ours, by the payment's id
    orphans: list[Difference] = field(default_factory=list)


def compare(page: Page, *, settled_before: datetime, closed_until: datetime | None = None) -> Comparison:
    """Hold the page against our books, except for orders of which something was booked since `settled_before`.

    With `closed_until` only orders that were closed by then are compared; without, all whose money is at rest.
    """
    books, orphans = _by_order(page)
    known = of_orders([order_id for order_id in books if is_uuid(order_id)], settled_before=settled_before)
    result = Comparison(orphans=orphans)
    for order_id, theirs in books.items():
        ours = known.get(order_id)
        if ours is None:
            result.orphans += _of_nobody(theirs, "of an order that we do not know")
        elif ours.is_moving or (closed_until is not None and not _was_closed(ours, closed_until)):
            result.moving.add(order_id)
        else:
            result.orders[order_id] = differences(ours, theirs)
            result.payments[order_id] = {entry.id for entry in theirs.payments}
    return result


def differences(ours: Ours, theirs: OrderBooks) -> list[Difference]:
    """Everything that does not agree: the sum first, then entry by entry."""
    return [*_in_sum(ours, theirs), *_by_entry(ours, theirs)]


def is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _was_closed(ours: Ours, until: datetime) -> bool:
    return ours.order.closed_at is not None and ours.order.closed_at <= until


def _in_sum(ours: Ours, theirs: OrderBooks) -> Iterator[Difference]:
    order = ours.order
    taken = ours.payments | {entry.id: entry.received_minor for entry in theirs.payments}
    back = ours.refunds | {entry.id: given_back_minor(entry) for entry in theirs.refunds}
    withdrawn = ours.disputes | {entry.id: entry.withdrawn_minor for entry in theirs.disputes}
    net = sum(taken.values()) - sum(back.values()) - sum(withdrawn.values())
    if not is_booked(ours, net):
        holds, said = money(net, order.currency), money(ours.balance_minor, order.currency)
        says = f"Order {order.number} is {order.status}: the gateway holds {holds} of it, our ledger says {said}."
        yield Difference(kind=DifferenceKind.LEDGER, reference=order.number, says=says)
    captures = sum(amount > 0 for amount in taken.values())
    if captures > 1:
        says = f"Order {order.number}: the gateway took money for it {captures} times."
        yield Difference(kind=DifferenceKind.AMOUNT, reference=f"{order.number} captures", says=says)


def is_booked(ours: Ours, net_minor: int) -> bool:
    """Whether what the gateway holds is what our ledger says.

    A refund that is on its way has left the gateway and not our ledger. Where a person's word ended the undo, that
    person says where the money is.
    """
    if StepName.REFUND in ours.by_word:
        return True
    return ours.balance_minor - ours.on_its_way_minor <= net_minor <= ours.balance_minor


def _by_entry(ours: Ours, theirs: OrderBooks) -> Iterator[Difference]:
    order, by_word = ours.order, StepName.REFUND in ours.by_word
    for payment in theirs.payments:
        mine = ours.payments.get(payment.id, 0)
        if payment.received_minor != mine and not by_word:
            took, have = _money(payment.received_minor, payment.currency), money(mine, order.currency)
            yield _about(payment.id, f"Order {order.number}: the gateway took {took}, we have {have}.")
        elif payment.received_minor and payment.currency.upper() != order.currency:
            says = f"Order {order.number}: the gateway took {payment.currency.upper()}, we have {order.currency}."
            yield _about(payment.id, says)
        if payment.authorised_minor and not by_word:
            held = _money(payment.authorised_minor, payment.currency)
            says = f"Order {order.number}: the gateway still holds {held} on the card, and nobody will take it."
            yield _about(f"{payment.id} authorised", says)
    for refund in theirs.refunds:
        # Which way a refund ends that is on its way is told by an event, or asked by its own process.
        if refund.id not in ours.pending and not by_word:
            yield from _refund(ours, refund)
    for dispute in theirs.disputes:
        mine = ours.disputes.get(dispute.id, 0)
        if dispute.withdrawn_minor != mine:
            withdrew, have = _money(dispute.withdrawn_minor, dispute.currency), money(mine, order.currency)
            says = f"Order {order.number}: the bank took {withdrew} back in a dispute, we have {have}."
            yield _about(dispute.id, says, unknown=dispute.id not in ours.disputes)


def _refund(ours: Ours, refund: GatewayRefund) -> Iterator[Difference]:
    order, mine = ours.order, ours.refunds.get(refund.id, 0)
    gave = given_back_minor(refund)
    if refund.state is RefundState.UNKNOWN:
        says = f"Order {order.number}: the gateway has a refund as '{refund.status}', which we cannot read."
        yield _about(refund.id, says)
    elif gave != mine:
        amount, have = money(refund.amount_minor, order.currency), money(mine, order.currency)
        told = f"gave {amount} back" if gave else f"did not give {amount} back ({refund.status})"
        says = f"Order {order.number}: the gateway {told}, we have {have}."
        yield _about(refund.id, says, unknown=refund.id not in ours.refunds)


def _about(reference: str, says: str, *, unknown: bool = False) -> Difference:
    kind = DifferenceKind.UNKNOWN_TO_US if unknown else DifferenceKind.AMOUNT
    return Difference(kind=kind, reference=reference, says=says)


def _by_order(page: Page) -> tuple[dict[str, OrderBooks], list[Difference]]:
    """The page's entries by the order that they name, or whose payment they name; and money that names none."""
    mine = {payment.id: payment.order for payment in page.payments if payment.order}
    asked = {refund.payment for refund in page.refunds if not is_uuid(refund.order)}
    asked |= {dispute.payment for dispute in page.disputes} | {payment.id for payment in page.payments}
    paid_for = orders_of_payments(asked - {"", *mine}) | mine
    books: dict[str, OrderBooks] = defaultdict(OrderBooks)
    for payment in page.payments:
        books[paid_for.get(payment.id, "")].payments.append(payment)
    for refund in page.refunds:
        named = refund.order if is_uuid(refund.order) else ""
        books[named or paid_for.get(refund.payment, refund.order)].refunds.append(refund)
    for dispute in page.disputes:
        books[paid_for.get(dispute.payment, "")].disputes.append(dispute)
    nobody = books.pop("", OrderBooks())
    return dict(books), list(_of_nobody(nobody, "that names no order of ours"))


def _of_nobody(theirs: OrderBooks, why: str) -> Iterator[Difference]:
    """One for each payment whose money moved; of refunds and disputes too, whose payment is on another page."""
    told: dict[str, list[str]] = defaultdict(list)
    for payment in theirs.payments:
        if payment.received_minor:
            told[payment.id].append(f"took {_money(payment.received_minor, payment.currency)}")
        elif payment.authorised_minor:
            told[payment.id].append(f"holds {_money(payment.authorised_minor, payment.currency)} on a card")
    for refund in theirs.refunds:
        if given_back_minor(refund):
            told[refund.payment or refund.id].append(f"gave {refund.amount_minor} minor units back")
    for dispute in theirs.disputes:
        if dispute.withdrawn_minor:
            withdrew = _money(dispute.withdrawn_minor, dispute.currency)
            told[dispute.payment or dispute.id].append(f"lost {withdrew} to a dispute")
    for reference, did in told.items():
        says = f"The gateway {', '.join(did)} for a payment {why}."
        yield Difference(kind=DifferenceKind.UNKNOWN_TO_US, reference=reference, says=says)


def _money(minor: int, currency: str) -> str:
    """As people write it; the gateway may name a currency in which we do not trade, whose decimals we do not know."""
    known = currency.upper()
    return money(minor, known) if known in set(Currency) else f"{minor} minor units of {known}"
