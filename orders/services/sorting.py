"""How an order's early end is sorted: the customer is told, staff get a task, or whoever runs the system an event.

Everything here happens in the transaction that closes the order, so no end goes untold; and nothing here waits for
anybody, so no end is held up by telling it.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from orders import clock
from orders.actor import Actor
from orders.models import Order, ReviewCase
from orders.services import notices, system_events, tasks
from orders.vocabulary import (
    CLASS_OF_FAILURE,
    FailureClass,
    FailureType,
    NoticeKind,
    OrderStatus,
    ReviewStatus,
    TaskKind,
    TaskLevel,
)
from orders.wording import failure_words

DECLINES_COUNT_FOR = timedelta(days=7)


def sort_out(order: Order, *, actor: Actor) -> None:
    """Tell whoever can act. The caller holds the order's lock and has just closed it."""
    ended = f"The order ended as {order.status}; its step is not tried any more."
    tasks.close_if_open(TaskKind.REQUEST_REFUSED, order, resolution=ended, actor=actor)
    failure = FailureType(order.failure_type)
    kind = CLASS_OF_FAILURE.get(failure)
    if kind is FailureClass.VALIDATION:
        notices.queue(order, NoticeKind.ORDER_FAILED)
        if failure is FailureType.PAYMENT_DECLINED:
            _escalate_repeated_declines(order, actor=actor)
    elif kind is FailureClass.BUSINESS:
        _escalate(order, f"{failure_words(failure)[0].capitalize()}: {order.failure_message}", actor=actor)
    elif kind is FailureClass.SYSTEM:
        system_events.record_end(order, actor=actor)
    elif failure is FailureType.REVIEW_REJECTED and _nobody_decided(order):
        says = "Nobody reviewed it in time and the rules rejected it: look whether the customer was wronged."
        _escalate(order, says, level=TaskLevel.LEAD, actor=actor)


def _escalate(order: Order, says: str, *, level: TaskLevel = TaskLevel.AGENT, actor: Actor) -> None:
    tasks.open_task(TaskKind.ESCALATION, order, level=level, says=f"{order.number}: {says}", actor=actor)


def _escalate_repeated_declines(order: Order, *, actor: Actor) -> None:
    if order.customer_id is None:
        return
    declined = Order.objects.filter(
        customer_id=order.customer_id,
        status=OrderStatus.FAILED,
        failure_type=FailureType.PAYMENT_DECLINED,
        closed_at__gte=clock.now() - DECLINES_COUNT_FOR,
    ).count()
    if declined >= settings.DECLINES_BEFORE_ESCALATION:
        says = f"{declined} orders of this customer were declined within a week: talk to them, or look for misuse."
        _escalate(order, says, actor=actor)


def _nobody_decided(order: Order) -> bool:
    return ReviewCase.objects.filter(order=order, status=ReviewStatus.REJECTED, decided_by=None).exists()
