"""Orders and their processes at Temporal: which to ask about, and what follows from the answers.

The answers come from the orchestration (`temporal_app.activities.engine`) as plain words, and each is held against the
order's row under its lock: between question and answer an order may have ended rightly. What Temporal did not answer
is no finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from orders import clock, history, outbox
from orders.actor import Actor
from orders.models import Command, Finding, Order, OutboxMessage, Recovery
from orders.services import placing, recovering, system_events
from orders.services.sweeping import findings, progress, restoring
from orders.vocabulary import (
    IN_PROCESS_STATUSES,
    TERMINAL_STATUSES,
    CommandKind,
    EventType,
    FindingKind,
    OrderStatus,
    RestoreKind,
    RunState,
    SweepPart,
)

#: open orders, closed ones, and orders with open findings that one sweep asks about
PAGE = 100
#: a status that is younger than this is on its way; a closed order's process has ended by then
QUIET = timedelta(seconds=10)
#: so long after its order was closed, a process with a task on its way is on its way out
LEAVES_WITHIN = timedelta(minutes=10)
#: closed orders that are asked about once more, before any others
MOST_AGAIN = 500
#: how long an order is asked about whose process was not there when it was told something
MISSED_FOR = timedelta(minutes=10)
ABOUT_PROCESSES = (
    FindingKind.PROCESS_LOST,
    FindingKind.PROCESS_ENDED,
    FindingKind.PROCESS_RESET,
    FindingKind.WEDGED,
)
DECIDES = "Its parcel was booked. Who resolves this task decides whether the order is finished or undone."
#: Temporal's word for it
WORKFLOW_TASK_FAILED = "WorkflowTaskFailed"
#: the process is gone: nothing will move the order any more
GONE = frozenset({RunState.MISSING, RunState.BROKEN, RunState.CLOSED})


@dataclass(frozen=True, kw_only=True)
class Question:
    """Order ids, by what is asked about them."""

    in_process: tuple[str, ...]
    #: their recovery runs are asked about instead
    recovering: tuple[str, ...]
    #: nothing may run any more
    closed: tuple[str, ...]
    #: those of them of which something was found
    watched: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What Temporal says of one order's process."""

    order_id: str
    state: RunState
    #: why, as far as Temporal told
    says: str = ""
    #: work is on its way to it or from it
    busy: bool = False


def question() -> Question:
    """The next page of open and of closed orders, and all that have open findings."""
    row = progress.of(SweepPart.PROCESSES)
    open_orders = _settled(Order.objects.filter(status__in=IN_PROCESS_STATUSES).filter(Exists(_starts())))
    page = _page(open_orders, row.cursor)
    watched = open_orders.filter(findings__resolved_at=None, findings__kind__in=ABOUT_PROCESSES)
    missed = open_orders.filter(pk__in=_missed_lately())
    asked = [one.order_by("pk").values_list("pk", flat=True).distinct()[:PAGE] for one in (watched, missed)]
    found = {str(pk) for pk in [*page, *asked[0], *asked[1]]}
    being_recovered = {str(pk) for pk in Recovery.objects.filter(order_id__in=found).values_list("order_id", flat=True)}
    # While Temporal answers nothing, they pile up: then the cursor waits.
    closed, closed_cursor = _closed(row.closed_cursor) if len(row.again) < MOST_AGAIN else ((), row.closed_cursor)
    standing = Finding.objects.filter(kind=FindingKind.RUNS_ON, resolved_at=None)
    # Each in its turn: the first hundred must not keep the others from being looked at again.
    runs_on = {str(pk) for pk in standing.order_by("last_seen_at").values_list("order_id", flat=True)[:PAGE]}
    # Until there is an answer: a sweep may be given up in between.
    row.again = sorted({*row.again, *closed})
    closed = tuple(sorted({*row.again, *closed, *runs_on}))
    # When it ran is said with the answers: a sweep that Temporal does not answer must look late.
    row.looked_at, row.closed_cursor = len(found) + len(closed), closed_cursor
    row.cursor = str(page[-1]) if len(page) == PAGE else ""
    row.save(update_fields=["looked_at", "cursor", "closed_cursor", "again"])
    return Question(
        in_process=tuple(sorted(found - being_recovered)),
        recovering=tuple(sorted(being_recovered)),
        closed=closed,
        watched=tuple(sorted(runs_on)),
    )


def settle(seen: Sequence[Seen], *, skipped: str = "", unanswered: Sequence[str] = (), actor: Actor) -> int:
    """Hold Temporal's answers against the orders, repair and note; answers how many findings are new.

    `unanswered` are ids of which Temporal said nothing: closed ones are asked about again.
    """
    if restoring.is_standing():
        ended = [one.order_id for one in seen if one.state is RunState.CLOSED]
        open_here = Order.objects.filter(pk__in=ended, status__in=IN_PROCESS_STATUSES)
        behind = [(str(pk), number) for pk, number in open_here.values_list("pk", "number")]
        restoring.differs(RestoreKind.ORDER_BEHIND, behind)
        looked_at = progress.of(SweepPart.PROCESSES).looked_at
        progress.ran(SweepPart.PROCESSES, looked_at=looked_at, skipped=restoring.SKIPPED)
        return 0
    gone = _ended_while_open(seen)
    # That many at once is no slip of an operator but a lost engine or a wrong address: a lead must look first.
    repairs = len(gone) <= settings.SWEEP_REPAIRS_AT_ONCE
    new, quietly = 0, _as_they_should(seen)
    for one in seen:
        if one.order_id in quietly:
            continue
        with transaction.atomic():
            order = Order.objects.select_for_update(no_key=True).filter(pk=one.order_id).first()
            if order is None:
                continue
            if not order.is_terminal:
                # With the order locked: a database set back meanwhile shows it open again, and has forgotten us.
                restoring.require_remembered(actor)
                if restoring.is_standing():
                    return new
            new += _settle(order, one, repairs=repairs, actor=actor)
    row = progress.of(SweepPart.PROCESSES)
    leaving = {str(pk) for pk in _leaving(seen).values_list("pk", flat=True)}
    again = [pk for pk in row.again if pk in leaving or pk in set(unanswered)]
    progress.ran(SweepPart.PROCESSES, looked_at=row.looked_at, skipped=skipped, again=again)
    return new


def _leaving(seen: Sequence[Seen]) -> QuerySet[Order]:
    """Closed orders whose process is on its way out: under load its last task may wait for a worker for a while."""
    busy = [one.order_id for one in seen if one.busy and one.state is RunState.RUNNING]
    return Order.objects.filter(pk__in=busy, closed_at__gt=clock.now() - LEAVES_WITHIN)


def _as_they_should(seen: Sequence[Seen]) -> set[str]:
    """Open orders whose process runs and of which nothing was found: nearly all, and no reason to lock them."""
    runs = {one.order_id for one in seen if one.state is RunState.RUNNING}
    mine = Order.objects.filter(pk__in=list(runs), status__in=IN_PROCESS_STATUSES)
    found = Finding.objects.filter(order=OuterRef("pk"), kind__in=ABOUT_PROCESSES, resolved_at=None)
    return {str(pk) for pk in mine.exclude(Exists(found)).values_list("pk", flat=True)}


def _settle(order: Order, seen: Seen, *, repairs: bool, actor: Actor) -> bool:
    if order.is_terminal:
        return _settle_closed(order, seen, actor=actor)
    if order.status not in IN_PROCESS_STATUSES or not _settled(Order.objects.filter(pk=order.pk)).exists():
        return False
    if seen.state in GONE:
        return _settle_gone(order, seen, repairs=repairs, actor=actor)
    if not Recovery.objects.filter(order=order).exists():
        for kind in (FindingKind.PROCESS_LOST, FindingKind.PROCESS_ENDED):
            findings.resolve(kind, order, resolution="Temporal has its process again.", actor=actor)
    if seen.state is RunState.WEDGED:
        says = f"Its workflow task fails again and again. {seen.says} Nothing moves, and nothing is lost."
        new = findings.note(FindingKind.WEDGED, order, says=says, actor=actor)
        if new:
            # No activity fails of a bug in workflow code, so nobody else writes this down.
            system_events.remember(
                WORKFLOW_TASK_FAILED,
                says,
                workflow_id=f"order:{order.pk}",
                run_id=order.process_run_id,
                order_id=str(order.pk),
            )
        return new
    findings.resolve(FindingKind.WEDGED, order, resolution="Its process goes on.", actor=actor)
    if seen.state is RunState.RESET:
        says = "An operator reset its process; every effect is fenced."
        return findings.note(
            FindingKind.PROCESS_RESET, order, says=says, repair="it goes on in another run", actor=actor
        )
    return False


def _settle_gone(order: Order, seen: Seen, *, repairs: bool, actor: Actor) -> bool:
    if Recovery.objects.filter(order=order).exists():
        # The recovery run itself ended from outside, or ended the order in rows that a restored backup does not have:
        # every step of it may run any number of times.
        recovering.hand_over(order, again=seen.state is RunState.CLOSED)
        return False
    if seen.state is RunState.MISSING and not order.process_run_id:
        says, repair = "Temporal never heard of its start.", "its start is handed over again"
        new = findings.note(FindingKind.PROCESS_LOST, order, says=says, repair=repair, actor=actor)
        start = order.commands.get(kind=CommandKind.START)
        history.record(order, EventType.START_REDELIVERED, actor=actor, reason=says, data={"command": str(start.id)})
        placing.hand_over(order, start)
        return new
    shipped = recovering.has_shipped(order) and order.status != OrderStatus.UNDOING
    if seen.state is RunState.CLOSED:
        # What it did to the end is no reason to undo anything: rather these rows are older than Temporal.
        says = (
            "Its process ended with a result at Temporal, and here it is open: the database may be older than "
            f"Temporal. Look what was done already. {DECIDES if shipped else 'Who resolves this task has it undone.'}"
        )
        return findings.note(FindingKind.PROCESS_ENDED, order, says=says, actor=actor)
    says = f"Its process is gone: {seen.says or 'Temporal does not know it'}."
    if shipped:
        # Goods on their way are not called back unasked.
        return findings.note(FindingKind.PROCESS_ENDED, order, says=f"{says} {DECIDES}", actor=actor)
    repair = "another run undoes the order" if repairs else ""
    new = findings.note(FindingKind.PROCESS_ENDED, order, says=says, repair=repair, actor=actor)
    if new and repairs:
        recovering.begin(order, why=says, actor=actor)
    return new


def _settle_closed(order: Order, seen: Seen, *, actor: Actor) -> bool:
    if seen.state in GONE:
        findings.resolve(FindingKind.RUNS_ON, order, resolution="Its process has ended.", actor=actor)
        return False
    if _leaving([seen]).exists():
        return False
    says = f"The order is {order.status}, and its process still runs at Temporal."
    return findings.note(FindingKind.RUNS_ON, order, says=says, actor=actor)


def _ended_while_open(seen: Iterable[Seen]) -> list[UUID]:
    """Orders under way whose process was there and is gone."""
    states = {one.order_id: one.state for one in seen if one.state in GONE}
    mine = Order.objects.filter(pk__in=list(states), status__in=IN_PROCESS_STATUSES, recovery=None)
    never_began = [pk for pk, state in states.items() if state is RunState.MISSING]
    return list(mine.exclude(pk__in=never_began, process_run_id="").values_list("pk", flat=True))


def _settled(orders: QuerySet[Order]) -> QuerySet[Order]:
    """Those that have stood still for a moment, and of which nothing waits to be told to Temporal.

    While a restored database waits for a lead, everything waits, and what was told before is not remembered.
    """
    still = orders.filter(status_since__lt=clock.now() - QUIET)
    return still if restoring.is_standing() else still.exclude(Exists(outbox.of_outer_order().filter(outbox.PENDING)))


def _missed_lately() -> list[str]:
    """Orders whose process was told something, and was not there: no page need come to them."""
    parked = OutboxMessage.objects.filter(parked_at__gt=Now() - MISSED_FOR, aggregate__startswith="order:")
    return [
        one.removeprefix("order:") for one in parked.order_by("-parked_at").values_list("aggregate", flat=True)[:PAGE]
    ]


def _starts() -> QuerySet[Command]:
    return Command.objects.filter(order=OuterRef("pk"), kind=CommandKind.START)


def _page(orders: QuerySet[Order], cursor: str) -> list[UUID]:
    after = orders.filter(pk__gt=cursor) if cursor else orders
    return list(after.order_by("pk").values_list("pk", flat=True)[:PAGE])


def _closed(cursor: str) -> tuple[tuple[str, ...], str]:
    """The next orders by the time of their end, with the new cursor; the first sweep begins at its own time."""
    until = clock.now() - QUIET
    if not cursor:
        return (), until.isoformat()
    after = datetime.fromisoformat(cursor)
    ended = Order.objects.filter(status__in=TERMINAL_STATUSES, closed_at__gt=after, closed_at__lte=until)
    rows = list(ended.filter(Exists(_starts())).order_by("closed_at").values_list("pk", "closed_at")[:PAGE])
    reached = rows[-1][1] if len(rows) == PAGE else None
    return tuple(sorted(str(pk) for pk, _ in rows)), (reached or until).isoformat()
