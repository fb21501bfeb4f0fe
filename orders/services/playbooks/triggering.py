"""Playbooks that start by themselves: when something happens to an order, or every so often on the orders that match.

A run acts for whoever had the version published, with their permissions of the moment; of a version that came with the
product, for whoever first let it start by itself, who must be allowed to publish it (`publishing.stand_for`). One event
starts a playbook on its order once, and one round of a schedule once on each order, however often this is tried again.
What starts them is set by `orders.services.playbooks.setting`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from orders import clock
from orders.actor import person
from orders.errors import DomainError, WrongState
from orders.models import Order, OrderEvent, Playbook, PlaybookRun, PlaybookSchedule, PlaybookTrigger
from orders.playbooks import expressions
from orders.playbooks.expressions import EvaluationFailed
from orders.playbooks.validation import InvalidPlaybook
from orders.services.playbooks import facts, running
from orders.services.playbooks.publishing import newest_published
from orders.vocabulary import TERMINAL_STATUSES, Channel, EventType, RunTrigger
from orders.wording import EVENT_TITLES

#: runs that events may start on one order in a day; more is a circle that nobody meant
MOST_PER_ORDER = 20
#: orders that one look of a schedule takes; the round goes on with the next look, until it has come to the newest
MOST_LOOKED_AT = 5_000
#: runs that one round starts
MOST_STARTED = 500


def fire(event_id: int) -> int:
    """Start what the event starts; answers how many runs began."""
    event = OrderEvent.objects.select_related("order").get(pk=event_id)
    started = 0
    for trigger in PlaybookTrigger.objects.select_related("playbook").filter(event=event.type, enabled=True):
        problem = ""
        try:
            if _meets(trigger.condition, event.order):
                _refuse_circle(event.order)
                reason = f"{EVENT_TITLES[EventType(event.type)]} ({event.type})"
                cause = f"event:{event.pk}:{trigger.pk}"
                started += _start(trigger.playbook, event.order, RunTrigger.EVENT, cause, reason)
        except (DomainError, InvalidPlaybook, EvaluationFailed) as error:
            problem = f"{event.order.number}: {error}"
        PlaybookTrigger.objects.filter(pk=trigger.pk).update(
            last_fired_at=clock.now(), **({"last_problem": problem[:500]} if problem else {})
        )
    return started


def start_due() -> int:
    """Start what is due by now; answers how many runs began."""
    started = 0
    for schedule in PlaybookSchedule.objects.select_related("playbook").filter(enabled=True, next_at__lte=clock.now()):
        started += _round(schedule)
    return started


def _round(schedule: PlaybookSchedule) -> int:
    """The next page of a round, every order once, also when it is tried again; answers how many runs began.

    After the page with the newest order the next round is set. A round that has started `MOST_STARTED` runs ends before
    that, and the next one goes on behind it.
    """
    due: datetime = schedule.next_at
    # A look in the middle of a round left the round's hour as it was.
    is_first = schedule.last_fired_at is None or schedule.last_fired_at < due
    before = 0 if is_first else schedule.last_started
    page = _open_orders(after=schedule.cursor)
    started, problem, last = 0, "", None
    for last in page:
        try:
            if _meets(schedule.condition, last):
                cause = f"schedule:{schedule.pk}:{due:%Y%m%d%H%M}:{last.pk}"
                reason = f"Every {schedule.every_hours} h"
                started += _start(schedule.playbook, last, RunTrigger.SCHEDULE, cause, reason)
        except (DomainError, InvalidPlaybook, EvaluationFailed) as error:
            problem = f"{last.number}: {error}"
        if before + started >= MOST_STARTED:
            break
    is_capped = before + started >= MOST_STARTED
    goes_on = len(page) == MOST_LOOKED_AT or is_capped
    if is_capped:
        problem = f"Only {MOST_STARTED} runs are started in one round. The next one goes on behind {last}."
    elif goes_on:
        problem = f"Looked at the orders up to {last} only; it goes on with the next ones in some minutes. {problem}"
    pause = timedelta(hours=schedule.every_hours)
    PlaybookSchedule.objects.filter(pk=schedule.pk, next_at=due, cursor=schedule.cursor).update(
        # The next one of the rhythm that is still to come: rounds that were missed are made up for by this one.
        next_at=due if goes_on and not is_capped else due + pause * ((clock.now() - due) // pause + 1),
        cursor=f"{last.created_at.isoformat()} {last.pk}" if goes_on and last is not None else "",
        last_fired_at=clock.now(),
        last_started=before + started,
        last_problem=problem.strip()[:500],
    )
    return started


def _start(playbook: Playbook, order: Order, trigger: RunTrigger, cause: str, reason: str) -> int:
    """1 when a run began, 0 when this cause had started one before. Raises as `running.start` does."""
    version = newest_published(playbook.slug)
    if version is None or version.published_by is None:
        raise WrongState(f"No version of {playbook.slug} is published by anybody.")
    if PlaybookRun.objects.filter(cause=cause).exists():
        return 0
    with transaction.atomic():
        running.start(
            order.number,
            playbook.slug,
            actor=person(version.published_by, Channel.ENGINE),
            reason=reason,
            version=version.number,
            trigger=trigger,
            cause=cause,
        )
    return 1


def _meets(condition: str, order: Order) -> bool:
    return bool(expressions.evaluate(condition, {"order": facts.of_order(order.pk)}))


def _open_orders(*, after: str) -> list[Order]:
    """The next ones, oldest first, behind the order that the cursor names."""
    orders = Order.objects.exclude(status__in=TERMINAL_STATUSES)
    if after:
        made, _, pk = after.partition(" ")
        moment = datetime.fromisoformat(made)
        orders = orders.filter(Q(created_at__gt=moment) | Q(created_at=moment, pk__gt=UUID(pk)))
    return list(orders.order_by("created_at", "pk")[:MOST_LOOKED_AT])


def _refuse_circle(order: Order) -> None:
    since = clock.now() - timedelta(days=1)
    begun = PlaybookRun.objects.filter(order=order, trigger=RunTrigger.EVENT, created_at__gte=since).count()
    if begun >= MOST_PER_ORDER:
        raise WrongState(f"Events have started {begun} runs on it within a day; no more are started.")
