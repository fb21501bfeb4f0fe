"""Money that went back at the gateway, and not through us.

It first pays what is owed to the customer. What is left of it becomes a refund of its own, as far as the payment
reaches; beyond that the customer has more than they paid, and the ledger says that they owe it to us. A person gets a
task each time: only they can find out who did it, and why.
"""

from __future__ import annotations

from orders import clock, history
from orders.actor import Actor
from orders.amounts import money
from orders.models import LedgerTransfer, Order, Refund
from orders.partners.payments import GatewayRefund, RefundState
from orders.services import owing, refund_outcomes, tasks
from orders.vocabulary import MOVING_REFUNDS, EventType, LedgerAccount, RefundStatus, TaskKind, TaskLevel


def is_booked(order: Order, found: GatewayRefund) -> bool:
    """Whether the part of it that is more than the customer paid is booked already."""
    return LedgerTransfer.objects.filter(key=_key(order, found)).exists()


def book(order: Order, found: GatewayRefund, *, twice: Refund | None, actor: Actor) -> bool:
    """Book a refund that none of our rows knows; False when a refund that is being sent must end first.

    `twice` is the refund of ours that it carries the name of, and that ended another way. The caller holds the order's
    lock, and has seen that the gateway did not fail it.
    """
    payment = refund_outcomes.locked_payment(order)
    room = payment.captured_minor - payment.refunded_minor - payment.refunding_minor
    owed = list(owing.owed(order))
    left, is_paid = found.amount_minor, found.state is RefundState.SUCCEEDED
    fits = left <= room + sum(one.amount_minor for one in owed)
    if not is_paid and (not fits or twice is not None):
        # Whether it is too much is known when it has arrived.
        return False
    if not fits and order.refunds.filter(status__in=MOVING_REFUNDS).exists():
        return False
    words = [_what(order, found, twice)]
    for refund in owed:
        part = _part(refund, left, room)
        if part:
            _pay(order, refund, part, found, actor=actor)
            words.append(f"{money(part, refund.currency)} of it pay what was owed.")
            left -= part
    within = min(left, room)
    if within:
        _add(order, within, found, actor=actor)
    beyond = left - within
    if beyond:
        _book_beyond(order, beyond, found)
        words.append(f"{money(beyond, payment.currency)} of it are more than was paid.")
    data = {"amount_minor": found.amount_minor, "gateway_reference": found.id, "gateway_status": found.status[:40]}
    history.record(order, EventType.REFUNDED_OUTSIDE, actor=actor, reason=" ".join(words), data=data)
    words.append("Find out who did it and why, and resolve this with a note.")
    tasks.open_or_extend(
        TaskKind.REFUND_OUTSIDE, order, level=TaskLevel.LEAD, says=f"{order.number}: {' '.join(words)}", actor=actor
    )
    return True


def came_back(order: Order, found: GatewayRefund, *, actor: Actor) -> None:
    """The part that was more than the customer paid failed later."""
    given = LedgerTransfer.objects.filter(key=_key(order, found)).first()
    if given is None or LedgerTransfer.objects.filter(key=f"{given.key}:failed").exists():
        return
    refund_outcomes.reverse(given)
    data = {"amount_minor": given.amount_minor, "gateway_reference": found.id}
    says = refund_outcomes.failure_words(found)
    history.record(order, EventType.REFUND_FAILED, actor=actor, reason=says, data=data)


def _what(order: Order, found: GatewayRefund, twice: Refund | None) -> str:
    amount = money(found.amount_minor, order.currency)
    if twice is None:
        return f"{amount} were refunded at the gateway, not through this office ({found.id})."
    return f"{amount} went back a second time: the gateway gave back too ({found.id}) what was settled: {twice.note}."


def _part(refund: Refund, left_minor: int, room_minor: int) -> int:
    """How much of the owed refund is paid.

    The refund of a return is what its pieces were paid for: it is cut only where nothing else of the payment is left.
    """
    if left_minor < refund.amount_minor and refund.return_case_id is not None:
        return max(left_minor - room_minor, 0)
    return min(refund.amount_minor, left_minor)


def _pay(order: Order, refund: Refund, part_minor: int, found: GatewayRefund, *, actor: Actor) -> None:
    """The gateway's refund is what becomes of the owed one, or of a part that is cut off."""
    paid = refund
    if part_minor < refund.amount_minor:
        refund.amount_minor -= part_minor
        refund.save(update_fields=["amount_minor"])
        paid = _row(order, part_minor, RefundStatus.REFUSED, actor=actor, reason=refund.reason)
        paid.save(force_insert=True)
    _give(order, paid, found, actor=actor)


def _add(order: Order, amount_minor: int, found: GatewayRefund, *, actor: Actor) -> None:
    refund = _row(order, amount_minor, RefundStatus.PENDING, actor=actor, reason="Refunded at the gateway")
    refund.outside, refund.gateway_reference, refund.gateway_status = True, found.id, found.status[:40]
    refund.save(force_insert=True)
    payment = refund_outcomes.locked_payment(order)
    payment.refunding_minor += amount_minor
    payment.save(update_fields=["refunding_minor", "updated_at"])
    if found.state is RefundState.SUCCEEDED:
        _give(order, refund, found, actor=actor)


def _give(order: Order, refund: Refund, found: GatewayRefund, *, actor: Actor) -> None:
    if found.state is RefundState.SUCCEEDED:
        reason = f"The gateway gave the money back by refund {found.id}, which was not made through this office"
        refund_outcomes.gave_back(order, refund, found, actor=actor, reason=reason)
    else:
        refund_outcomes.is_on_its_way(order, refund, found, actor=actor)
    # Where it is parked, its process has nothing left to wait for.
    refund_outcomes.publish(refund)


def _row(order: Order, amount_minor: int, status: RefundStatus, *, actor: Actor, reason: str) -> Refund:
    refund = Refund(
        order=order,
        amount_minor=amount_minor,
        currency=order.currency,
        reason=reason[:500],
        status=status,
        actor=actor.name,
        channel=actor.channel,
        created_at=clock.now(),
    )
    refund.key = refund_outcomes.key(order, refund)
    return refund


def _book_beyond(order: Order, amount_minor: int, found: GatewayRefund) -> None:
    LedgerTransfer.objects.create(
        key=_key(order, found),
        order=order,
        debit_account=LedgerAccount.CUSTOMER,
        credit_account=LedgerAccount.GATEWAY,
        amount_minor=amount_minor,
        currency=order.currency,
    )


def _key(order: Order, found: GatewayRefund) -> str:
    return f"{order.id}:beyond:{found.id[:80]}"
