"""What we say of orders' money at the gateway: the ledger's balance, and each payment, refund and dispute that we know.

Always for a page of orders at a time: the number of statements does not depend on the number of orders.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db.models import Max, Q, Sum

from orders.models import Dispute, GatewayEvent, LedgerTransfer, Order, Payment, Refund, Shipment, Step
from orders.vocabulary import MOVING_REFUNDS, LedgerAccount, RefundStatus, StepName, StepStatus

#: while one of these is open the gateway may have done what we have not booked
MONEY_STEPS = (StepName.CHARGE, StepName.REFUND)


@dataclass(kw_only=True)
class Ours:
    """One order's money at the gateway as our books have it, in minor units. Filled in by `of_orders`, then left."""

    order: Order
    #: what the gateway holds for the order, by the ledger
    balance_minor: int = 0
    #: refunds that are on their way: the gateway has given them up, the ledger not yet
    on_its_way_minor: int = 0
    #: what we know of each object of the gateway's, by its id: taken, given back, taken back by the bank
    payments: dict[str, int] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    disputes: dict[str, int] = field(default_factory=dict)
    #: refunds whose end the gateway has not told us yet
    pending: set[str] = field(default_factory=set)
    #: the undo steps that ended by a person's word; where the partner then stands is that person's to say
    by_word: set[str] = field(default_factory=set)
    #: how many payment methods were tried; each has a payment of its own at the gateway
    tried: int = 1
    #: a parcel that a person booked is unknown to the carrier's books
    shipped_by_hand: bool = False
    #: between the gateway's answer and our booking the two differ rightly
    is_moving: bool = False


def of_orders(order_ids: Iterable[UUID | str], *, settled_before: datetime) -> dict[str, Ours]:
    """Order id -> what we say of it, for those of the ids that are orders of ours.

    What was booked since `settled_before` is moving: the gateway was asked at another moment than our books.
    """
    orders = Order.objects.filter(pk__in=list(order_ids)).select_related("payment")
    found = {str(order.pk): Ours(order=order) for order in orders}
    if found:
        _read_payments(found)
        _read_ledger(found, settled_before)
        _read_refunds(found)
        _read_disputes(found)
        _read_steps(found)
    return found


def orders_of_payments(references: Collection[str]) -> dict[str, str]:
    """The gateway's id of a payment -> the order that it pays for, of those that we know."""
    if not references:
        return {}
    rows = Payment.objects.filter(gateway_reference__in=list(references)).values_list("gateway_reference", "order_id")
    return {reference: str(order_id) for reference, order_id in rows}


def settling() -> timedelta:
    """How long a booking may take to follow the gateway's answer, and a list to follow the clock."""
    return timedelta(seconds=settings.SWEEP_BOOKS_SETTLING_SECONDS)


def ledger_balances(order_ids: Iterable[UUID | str] | None = None) -> dict[str, dict[LedgerAccount, int]]:
    """Balance of each account per order id, in minor units; debits are positive, so the balances add up to zero.

    `order_ids` limits the look to those orders.
    """
    transfers = LedgerTransfer.objects.all()
    if order_ids is not None:
        transfers = transfers.filter(order_id__in=list(order_ids))
    balances: dict[str, dict[LedgerAccount, int]] = defaultdict(lambda: dict.fromkeys(LedgerAccount, 0))
    for side, sign in (("debit_account", 1), ("credit_account", -1)):
        sums = transfers.values_list("order_id", side).annotate(Sum("amount_minor")).order_by()
        for order_id, account, amount in sums:
            balances[str(order_id)][LedgerAccount(account)] += sign * amount
    return dict(balances)


def _read_payments(found: dict[str, Ours]) -> None:
    references = {}
    for ours in found.values():
        payment: Payment | None = getattr(ours.order, "payment", None)
        if payment is not None:
            ours.tried = payment.generation
            if payment.gateway_reference:
                ours.payments[payment.gateway_reference] = payment.captured_minor
                references[payment.gateway_reference] = ours
    # Told by the gateway, and not carried out yet.
    told = GatewayEvent.objects.filter(handled_at=None, payment_reference__in=list(references))
    for reference in told.values_list("payment_reference", flat=True):
        references[reference].is_moving = True


def _read_ledger(found: dict[str, Ours], settled_before: datetime) -> None:
    for order_id, balances in ledger_balances(found).items():
        found[order_id].balance_minor = balances[LedgerAccount.GATEWAY]
    booked = LedgerTransfer.objects.filter(order_id__in=list(found)).values_list("order_id")
    for order_id, newest in booked.annotate(Max("created_at")).order_by():
        found[str(order_id)].is_moving |= newest > settled_before


def _read_refunds(found: dict[str, Ours]) -> None:
    given_back: dict[str, int] = defaultdict(int)
    for refund in Refund.objects.filter(order_id__in=list(found)):
        ours = found[str(refund.order_id)]
        ours.is_moving |= refund.status in MOVING_REFUNDS
        if refund.status in {RefundStatus.DONE, RefundStatus.SETTLED}:
            given_back[str(refund.order_id)] += refund.amount_minor
        if refund.status == RefundStatus.PENDING:
            ours.on_its_way_minor += refund.amount_minor
            ours.pending.add(refund.gateway_reference)
        if refund.gateway_reference:
            # One that was made outside may pay for several of ours.
            counts = refund.status in {RefundStatus.DONE, RefundStatus.PENDING}
            known = ours.refunds.get(refund.gateway_reference, 0)
            ours.refunds[refund.gateway_reference] = known + (refund.amount_minor if counts else 0)
    for order_id, ours in found.items():
        payment: Payment | None = getattr(ours.order, "payment", None)
        if payment is not None and payment.refund_reference and payment.refund_reference not in ours.refunds:
            # The refund of an undo has no row of its own: it is what the others leave.
            ours.refunds[payment.refund_reference] = payment.refunded_minor - given_back[order_id]
    # What the gateway gave back beyond what was paid stands in the ledger only.
    beyond = LedgerTransfer.objects.filter(order_id__in=list(found), key__contains=":beyond:")
    for key, credit, amount in beyond.values_list("key", "credit_account", "amount_minor"):
        mine, _, reference = key.split(":")[:3]
        signed = amount if credit == LedgerAccount.GATEWAY else -amount
        found[mine].refunds[reference] = found[mine].refunds.get(reference, 0) + signed


def _read_disputes(found: dict[str, Ours]) -> None:
    for dispute in Dispute.objects.filter(order_id__in=list(found)):
        found[str(dispute.order_id)].disputes[dispute.gateway_reference] = dispute.withdrawn_minor


def _read_steps(found: dict[str, Ours]) -> None:
    mine = Q(order_id__in=list(found))
    begun = Step.objects.filter(mine & (Q(status=StepStatus.OPEN) | Q(result__has_key="by_hand")))
    for order_id, name, status in begun.values_list("order_id", "name", "status"):
        ours = found[str(order_id)]
        if status == StepStatus.OPEN:
            ours.is_moving |= name in MONEY_STEPS
        else:
            ours.by_word.add(name)
    for order_id in Shipment.objects.filter(mine, by_hand=True).values_list("order_id", flat=True):
        found[str(order_id)].shipped_by_hand = True
