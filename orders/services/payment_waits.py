"""A payment that the gateway has begun and not ended: whom it waits for, until when, and what staff can do meanwhile.

The order stands as "awaiting payment". What moves it on is the gateway's event or, where none comes, the next look:
after seconds at first, then minutes, then every hour, so that a wait of days costs little.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings

from orders import clock, history
from orders.actor import Actor
from orders.models import Order, Payment
from orders.partners.payments import Intent, PaymentState
from orders.services import notices, tasks
from orders.vocabulary import EventType, NoticeKind, OrderStatus, PaymentWait, StepName, TaskKind, TaskLevel

#: after so many seconds of waiting the gateway is asked again
LOOKS_AFTER = (5, 60, 600)
#: and then every so many
LOOKS_EVERY = 3_600
WHOM = {PaymentState.REQUIRES_ACTION: PaymentWait.CUSTOMER, PaymentState.PROCESSING: PaymentWait.BANK}
SAYS = {
    PaymentWait.CUSTOMER: "The bank asks the customer for a confirmation",
    PaymentWait.BANK: "The bank has begun the debit; it says later whether it was paid",
    PaymentWait.PERSON: "The gateway has the payment in a state that this process does not know",
}


def begin(order: Order, payment: Payment, intent: Intent, *, actor: Actor) -> float:
    """Note that the payment waits; answers after how many seconds to look again. The caller holds the order's lock.

    The customer is told once, and a state that nobody foresaw is a task.
    """
    whom = WHOM.get(intent.state, PaymentWait.PERSON)
    if (payment.waits_for, payment.gateway_status) != (whom, intent.status[:40]):
        now = clock.now()
        payment.waits_for, payment.gateway_status = whom, intent.status[:40]
        payment.waiting_since, payment.wait_until = now, _until(whom, now)
        payment.action_url = intent.action_url[:2_000]
        payment.save(
            update_fields=["waits_for", "gateway_status", "waiting_since", "wait_until", "action_url", "updated_at"]
        )
        before = order.status
        if order.status == OrderStatus.CHARGING:
            order.move_to(OrderStatus.AWAITING_PAYMENT)
        history.record(
            order,
            EventType.PAYMENT_WAITS,
            actor=actor,
            reason=SAYS[whom],
            step=StepName.CHARGE,
            status_before=before,
            data={
                "waits_for": whom,
                "gateway_status": intent.status[:40],
                **({"until": payment.wait_until.isoformat()} if payment.wait_until else {}),
            },
        )
        if whom is PaymentWait.CUSTOMER:
            notices.queue(order, NoticeKind.PAYMENT_ACTION)
    if whom is PaymentWait.PERSON or (whom is PaymentWait.BANK and is_over(payment)):
        _ask_a_person(order, payment, intent, actor=actor)
    return seconds_until_the_next_look(payment)


def end(payment: Payment, intent: Intent | None = None) -> list[str]:
    """Nobody is waited for any more; answers the columns for the caller to save."""
    payment.waits_for, payment.waiting_since, payment.wait_until, payment.action_url = "", None, None, ""
    if intent is not None:
        payment.gateway_status = intent.status[:40]
    return ["waits_for", "waiting_since", "wait_until", "action_url", "gateway_status"]


def is_over(payment: Payment) -> bool:
    """The time of the wait is over."""
    return payment.wait_until is not None and payment.wait_until <= clock.now()


def seconds_until_the_next_look(payment: Payment) -> float:
    """How long the process may sleep; a deadline is never slept past by more than a second."""
    now = clock.now()
    waited = (now - payment.waiting_since).total_seconds() if payment.waiting_since else 0.0
    pause = next((seconds - waited for seconds in LOOKS_AFTER if waited < seconds), float(LOOKS_EVERY))
    if payment.wait_until is not None and payment.wait_until > now:
        pause = min(pause, (payment.wait_until - now).total_seconds())
    return max(pause, 1.0)


def _until(whom: PaymentWait, now: datetime) -> datetime | None:
    if whom is PaymentWait.CUSTOMER:
        return now + timedelta(hours=settings.PAYMENT_ACTION_HOURS)
    return now + timedelta(days=settings.PAYMENT_PROCESSING_DAYS)


def _ask_a_person(order: Order, payment: Payment, intent: Intent, *, actor: Actor) -> None:
    if payment.waits_for == PaymentWait.BANK:
        says = f"The bank has not decided about the debit since {payment.waiting_since:%Y-%m-%d}. Ask the gateway why."
    else:
        says = (
            f"The gateway has payment {intent.id} as {intent.status!r} with {intent.taken_minor} of "
            f"{intent.amount_minor} taken. Nothing was booked. Settle it there, or cancel the order."
        )
    tasks.open_task(
        TaskKind.PAYMENT_STATE, order, level=TaskLevel.LEAD, says=f"{order.number}: {says}"[:500], actor=actor
    )
