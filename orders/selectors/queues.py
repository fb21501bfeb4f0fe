"""Work queues: open orders by who must act next. Each is read through an index of what is open, never of all orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet, Value

from orders import clock
from orders.amounts import number
from orders.models import Finding, Order, ReviewCase, Step
from orders.selectors import concerns, health
from orders.vocabulary import (
    IN_PROCESS_STATUSES,
    MOVING_STATUSES,
    STANDSTILLS,
    OrderStatus,
    ReviewStatus,
)
from orders.wording import Tone

#: counting stops here
COUNT_CAP = 1_000


class Queue(StrEnum):
    NEEDS_HUMAN = "needs_human"
    RETRYING = "retrying"
    WAITING = "waiting"
    PARKED = "parked"
    OVERDUE = "overdue"
    WEDGED = "wedged"


TITLES = {
    Queue.NEEDS_HUMAN: "Needs a person",
    Queue.RETRYING: "Failing and retried",
    Queue.WAITING: "Waiting on others",
    Queue.PARKED: "Parked by a breaker",
    Queue.OVERDUE: "Overdue",
    Queue.WEDGED: "Wedged by a bug",
}
TONES = {
    Queue.NEEDS_HUMAN: Tone.WAITING,
    Queue.RETRYING: Tone.WAITING,
    Queue.WAITING: Tone.MOVING,
    Queue.PARKED: Tone.WAITING,
    Queue.OVERDUE: Tone.TROUBLE,
    Queue.WEDGED: Tone.TROUBLE,
}


def needs_human(orders: QuerySet[Order]) -> QuerySet[Order]:
    """A person must decide or release."""
    return orders.filter(status__in=[OrderStatus.IN_REVIEW, OrderStatus.ON_HOLD])


def parked(orders: QuerySet[Order]) -> QuerySet[Order]:
    """A step waits for a partner that is out of order, or whose calls a person stopped."""
    return orders.filter(status__in=MOVING_STATUSES, pk__in=_parked_steps().values("order_id"))


def retrying(orders: QuerySet[Order]) -> QuerySet[Order]:
    """A step fails and is tried again; what is parked is not tried."""
    return concerns.retrying(orders).exclude(pk__in=_parked_steps().values("order_id"))


def wedged(orders: QuerySet[Order]) -> QuerySet[Order]:
    """The sweep found that the engine cannot go on by itself."""
    found = Finding.objects.filter(kind__in=STANDSTILLS, resolved_at=None).order_by().values("order_id")
    return orders.filter(status__in=IN_PROCESS_STATUSES, pk__in=found)


def _parked_steps() -> QuerySet[Step]:
    return health.with_outages(concerns.retrying_steps()).filter(down_since__isnull=False)  # type: ignore[misc]


def waiting(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Under way without a failure: with the engine or a partner, or with the customer's bank."""
    failing = concerns.retrying_steps().values("order_id")
    return orders.filter(status__in=MOVING_STATUSES | {OrderStatus.AWAITING_PAYMENT}).exclude(pk__in=failing)


def overdue(orders: QuerySet[Order]) -> QuerySet[Order]:
    """A review that missed a deadline, or an order under way that has not moved for too long."""
    missed = Q(deadline_at__lt=clock.now()) | Q(escalated_at__isnull=False)
    reviews = ReviewCase.objects.filter(missed, status=ReviewStatus.OPEN).order_by().values("order_id")
    stuck = concerns.not_moving(Order.objects.order_by()).values("pk")
    return orders.filter(pk__in=reviews.union(stuck, all=True))


MEMBERS: dict[Queue, Callable[[QuerySet[Order]], QuerySet[Order]]] = {
    Queue.NEEDS_HUMAN: needs_human,
    Queue.RETRYING: retrying,
    Queue.WAITING: waiting,
    Queue.PARKED: parked,
    Queue.OVERDUE: overdue,
    Queue.WEDGED: wedged,
}


@dataclass(frozen=True, kw_only=True)
class QueueCount:
    queue: Queue
    title: str
    tone: Tone
    count: int
    shown: str


def counts_for(user: AbstractBaseUser | AnonymousUser) -> list[QueueCount]:
    """How many orders each queue holds, up to `COUNT_CAP`, in one query; nothing for whoever may not see orders."""
    if not user.has_perm("orders.view_order"):  # type: ignore[union-attr]
        return []
    each = [
        members(Order.objects.order_by()).annotate(queue=Value(queue.value)).values_list("queue")[: COUNT_CAP + 1]
        for queue, members in MEMBERS.items()
    ]
    found = Counter(queue for (queue,) in each[0].union(*each[1:], all=True))
    return [
        QueueCount(
            queue=queue,
            title=TITLES[queue],
            tone=TONES[queue],
            count=found[queue],
            shown=f"{number(COUNT_CAP)}+" if found[queue] > COUNT_CAP else number(found[queue]),
        )
        for queue in Queue
    ]
