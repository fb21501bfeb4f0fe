"""What needs a human, in groups of a few rows: the lists of the landing page. Every query is bounded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Exists, Q, QuerySet

from orders import clock, outbox
from orders.actor import person
from orders.amounts import counted, money, number
from orders.models import CreditNote, FeedImport, Order, StaffTask, Step
from orders.selectors import approvals, batches, incidents
from orders.selectors.health import Backlog, unserved
from orders.vocabulary import (
    MOVING_STATUSES,
    BatchAction,
    Channel,
    FeedStatus,
    OrderStatus,
    StepName,
    StepStatus,
    TaskKind,
    TaskStatus,
)
from orders.wording import STEP_DOING, Tone, failure_words, status_word

#: an order under way that has not moved for this long needs a look
STUCK_AFTER = timedelta(minutes=2)
FAILED_WITHIN = timedelta(days=1)
LIST_ROWS = 6
#: tasks about neither an order nor a batch, in a few words
RUN_TASKS = {TaskKind.RUN: "A process needs a lead", TaskKind.RESTORED: "The database was restored"}


@dataclass(frozen=True, kw_only=True)
class Concern:
    """Something that needs a human."""

    title: str
    detail: str
    since: datetime
    #: where it leads: the order's page, a list ("credit_notes", "outbox", "queues", "task"), or the import ("feed"),
    #: batch or approval of this key; "incident" leads to its orders, or without a key to the list of incidents
    order_number: str = ""
    kind: str = ""
    key: str = ""
    tone: Tone = Tone.TROUBLE


@dataclass(frozen=True, kw_only=True)
class ConcernGroup:
    title: str
    count: str
    #: filter of the order list that shows all of them; empty when they are not orders
    attention: str
    rows: list[Concern]


def failed_lately(orders: QuerySet[Order]) -> QuerySet[Order]:
    return orders.filter(status=OrderStatus.FAILED, closed_at__gte=clock.now() - FAILED_WITHIN)


def not_moving(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Longer in their status than usual; those of an import that wait for their turn are not."""
    return orders.filter(_stuck())


def _stuck() -> Q:
    in_lane = Q(Exists(outbox.starts_of_outer_order().filter(bulk=True)), status=OrderStatus.QUEUED)
    return Q(status__in=MOVING_STATUSES, status_since__lt=clock.now() - STUCK_AFTER) & ~in_lane


def retrying_steps() -> QuerySet[Step]:
    """Open steps whose last attempt failed, of orders under way."""
    return Step.objects.filter(order__status__in=MOVING_STATUSES, status=StepStatus.OPEN).exclude(last_error="")


def retrying(orders: QuerySet[Order]) -> QuerySet[Order]:
    return orders.filter(status__in=MOVING_STATUSES, pk__in=retrying_steps().values("order_id"))


def count_needing() -> int:
    failed = Q(status=OrderStatus.FAILED, closed_at__gte=clock.now() - FAILED_WITHIN)
    return Order.objects.filter(failed | _stuck()).order_by()[:1000].count()


def _capped(count: int, shown: int) -> str:
    return number(count) if count <= shown else f"{shown}+"


def to_approve(user: AbstractBaseUser | AnonymousUser) -> ConcernGroup:
    """What waits for a second person and this one may decide."""
    found = list(approvals.to_decide(person(user, Channel.ADMIN))[: LIST_ROWS + 1])
    rows = [
        Concern(
            title=one.says,
            detail=f"Asked for by {one.requested_by}: {one.reason}",
            since=one.requested_at,
            kind="approval",
            key=str(one.pk),
            tone=Tone.WAITING,
        )
        for one in found
    ]
    return ConcernGroup(
        title="Waits for your approval", count=_capped(len(rows), LIST_ROWS), attention="", rows=rows[:LIST_ROWS]
    )


def open_incidents() -> ConcernGroup:
    """What stands still for one cause, first: it says why the lists below are full."""
    rows = [
        Concern(
            title=f"{counted(one.figures.count, 'order' if one.figures.totals else 'case')} for one cause",
            detail=" · ".join(part for part in (one.figures.money, one.incident.says, one.waits_for) if part),
            since=one.since,
            kind="incident",
            key=str(one.incident.pk) if one.figures.totals else "",
        )
        for one in incidents.shown(list(incidents.still_open()[: LIST_ROWS + 1]))
    ]
    return ConcernGroup(title="Incidents", count=_capped(len(rows), LIST_ROWS), attention="", rows=rows[:LIST_ROWS])


def stuck_and_retrying() -> ConcernGroup:
    steps = retrying_steps().select_related("order").order_by("claimed_at")[:LIST_ROWS]
    failing = {step.order_id: step for step in steps}
    stuck = not_moving(Order.objects.all()).order_by("status_since")[: LIST_ROWS + 1]
    rows = [
        Concern(
            title=f"{step.order.number} {STEP_DOING[StepName(step.name)]}, attempt {step.token}",
            detail=step.last_error,
            since=step.order.status_since,
            order_number=step.order.number,
            tone=Tone.WAITING,
        )
        for step in failing.values()
    ]
    rows += [
        Concern(
            title=f"{order.number} does not move",
            detail=f"{status_word(order.status)} for longer than {STUCK_AFTER.seconds // 60} minutes",
            since=order.status_since,
            order_number=order.number,
        )
        for order in stuck
        if order.pk not in failing
    ]
    return ConcernGroup(
        title="Retrying or not moving",
        count=_capped(len(rows), LIST_ROWS),
        attention="not_moving" if len(rows) > len(failing) else "retrying",
        rows=rows[:LIST_ROWS],
    )


def failures() -> ConcernGroup:
    failed = list(failed_lately(Order.objects.all()).order_by("-closed_at")[: LIST_ROWS + 1])
    rows = [
        Concern(
            title=f"{order.number}: {failure_words(order.failure_type)[0]}",
            detail=f"{money(order.total_minor, order.currency)} · {order.failure_message}",
            since=order.closed_at or order.status_since,
            order_number=order.number,
        )
        for order in failed
    ]
    return ConcernGroup(
        title="Failed in the last day", count=_capped(len(rows), LIST_ROWS), attention="failed", rows=rows[:LIST_ROWS]
    )


def lost_runs() -> ConcernGroup:
    """Tasks about neither an order nor a batch: no other page that people watch shows them."""
    standing = StaffTask.shown().exclude(status=TaskStatus.DONE).exclude(kind=TaskKind.INCIDENT).exclude(subject="")
    found = list(standing.order_by("created_at")[: LIST_ROWS + 1])
    rows = [
        Concern(
            title=RUN_TASKS.get(TaskKind(task.kind), status_word(task.kind)),
            detail=task.says,
            since=task.created_at,
            kind="task",
        )
        for task in found
    ]
    return ConcernGroup(title="Processes", count=_capped(len(rows), LIST_ROWS), attention="", rows=rows[:LIST_ROWS])


def stuck_outbox(backlog: Backlog) -> ConcernGroup:
    rows = []
    if backlog.is_stuck and backlog.oldest is not None:
        rows.append(
            Concern(
                title=f"{counted(backlog.pending, 'message')} not handed to Temporal",
                detail=backlog.last_error or "No worker takes them",
                since=backlog.oldest,
                kind="outbox",
            )
        )
    return ConcernGroup(title="Outbox", count=str(len(rows)), attention="", rows=rows)


def unserved_queues() -> ConcernGroup:
    rows = [
        Concern(
            title=f"No worker polls the queue {queue.name}",
            detail=f"What is sent there waits. Start one: run_worker --queue {queue.name}",
            since=since,
            kind="queues",
        )
        for queue, since in unserved()
    ]
    return ConcernGroup(title="Queues", count=str(len(rows)), attention="", rows=rows[:LIST_ROWS])


def credit_notes() -> ConcernGroup:
    unmatched = list(CreditNote.objects.filter(order=None).order_by("-issued_at").values_list("created_at")[:1001])
    rows = []
    if unmatched:
        shown = "More than 1,000 credit notes" if len(unmatched) > 1000 else counted(len(unmatched), "credit note")
        rows.append(
            Concern(
                title=f"{shown} without an order",
                detail="No earlier order of the customer covers them; decide by hand",
                since=unmatched[0][0],
                tone=Tone.WAITING,
                kind="credit_notes",
            )
        )
    return ConcernGroup(title="Credit notes", count=str(len(rows)), attention="", rows=rows)


def failed_feeds() -> ConcernGroup:
    failed = FeedImport.objects.filter(status=FeedStatus.FAILED, created_at__gte=clock.now() - FAILED_WITHIN)
    rows = [
        Concern(
            title=f"Import of {feed.name} failed",
            detail=feed.failure_message,
            since=feed.finished_at or feed.created_at,
            kind="feed",
            key=str(feed.pk),
        )
        for feed in failed.only("pk", "name", "failure_message", "finished_at", "created_at")[:LIST_ROWS]
    ]
    return ConcernGroup(title="Failed imports", count=str(len(rows)), attention="", rows=rows)


def waiting_batches() -> ConcernGroup:
    rows = [
        Concern(
            title=f"Batch “{batches.TITLES[BatchAction(batch.action)]}” of {counted(batch.item_count, 'order')}",
            detail=batch.note,
            since=batch.status_since,
            kind="batch",
            key=str(batch.pk),
        )
        for batch in batches.needing_somebody()
    ]
    return ConcernGroup(title="Batches", count=str(len(rows)), attention="", rows=rows)
