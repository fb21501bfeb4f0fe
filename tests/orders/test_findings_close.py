"""Every kind of finding is raised when its trouble is there and resolved when it has gone, by the sweep alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders.actor import system
from orders.models import Finding, Order, StaffTask, SweepProgress
from orders.partners.gateway_books import Listing
from orders.services.sweeping import books, deadlines, processes, runs
from orders.vocabulary import FailureType, FindingKind, RunKind, RunState, SweepPart, TaskKind, TaskStatus
from temporal_app.activities import engine
from temporal_app.payloads import ProcessSeen
from tests.factories import make_order
from tests.orders import driving, gateway_lists
from tests.orders.gateway_lists import Lists
from tests.orders.test_sweep_deadlines import late
from tests.orders.test_sweep_processes import closed_lately, quiet, under_way
from tests.orders.test_sweep_runs import open_run, seen

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")
#: raises the trouble, and takes it away when the `with` ends
Trouble = Callable[[Lists], Iterator[None]]


def swept(order: Order, state: RunState) -> None:
    """A sweep of the processes in which Temporal says so of this one; its answer takes the road of the activity."""
    asked = processes.question()
    closed = set(asked.closed) - set(asked.watched)
    told = ProcessSeen(order_id=str(order.pk), state=state)
    if not engine._is_as_it_should(told, closed):
        processes.settle([processes.Seen(order_id=told.order_id, state=told.state)], actor=SWEEPER)


def of_a_process(state: RunState, order: Callable[[], Order], gone: RunState = RunState.RUNNING) -> Trouble:
    def trouble(lists: Lists) -> Iterator[None]:
        made = order()
        swept(made, state)
        yield
        swept(quiet(made) if not made.is_terminal else made, gone)

    return trouble


def of_a_run(state: RunState) -> Trouble:
    def trouble(lists: Lists) -> Iterator[None]:
        export = open_run(RunKind.EXPORT)
        # Once is no trouble: a row and its process end one after the other.
        for _ in range(2):
            runs.settle([seen(RunKind.EXPORT, export, state)], actor=SWEEPER)
        yield
        runs.settle([seen(RunKind.EXPORT, export, RunState.RUNNING)], actor=SWEEPER)

    return trouble


def overdue(lists: Lists) -> Iterator[None]:
    order = late(driving.drive(make_order(), gateway=driving.outage()))
    deadlines.sweep(actor=SWEEPER)
    yield
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now())
    deadlines.sweep(actor=SWEEPER)


def reset(lists: Lists) -> Iterator[None]:
    order = under_way()
    swept(order, RunState.RESET)
    yield
    driving.undo(order, FailureType.CANCELLED, "Wanted")
    deadlines.sweep(actor=SWEEPER)


def drift(lists: Lists) -> Iterator[None]:
    order = driving.drive(make_order())
    paid = lists.pay(order)
    lists.give_back(paid, 500, id="re_other")
    books.sweep(actor=SWEEPER)
    yield
    lists.entries[Listing.REFUNDS].clear()
    SweepProgress.objects.filter(part=SweepPart.BOOKS).update(places={})
    books.sweep(actor=SWEEPER)


TROUBLES: dict[FindingKind, Trouble] = {
    FindingKind.OVERDUE: overdue,
    FindingKind.PROCESS_LOST: of_a_process(RunState.MISSING, lambda: quiet(make_order(started=True))),
    FindingKind.PROCESS_ENDED: of_a_process(RunState.CLOSED, under_way),
    FindingKind.PROCESS_RESET: reset,
    FindingKind.WEDGED: of_a_process(RunState.WEDGED, under_way),
    FindingKind.RUNS_ON: of_a_process(RunState.RUNNING, closed_lately, RunState.CLOSED),
    FindingKind.DRIFT: drift,
    FindingKind.RUN_ENDED: of_a_run(RunState.CLOSED),
    FindingKind.RUN_WEDGED: of_a_run(RunState.WEDGED),
}


@pytest.mark.parametrize("kind", FindingKind, ids=str)
def test_it_is_raised_and_resolves_itself_with_its_task(
    kind: FindingKind, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.SWEEP_BOOKS_SETTLING_SECONDS = 0
    with contextmanager(TROUBLES[kind])(gateway_lists.installed(monkeypatch)):
        found = Finding.objects.get(resolved_at=None)
        assert found.kind == kind
    found.refresh_from_db()
    assert found.resolved_at is not None
    assert found.resolution
    left = StaffTask.objects.exclude(status=TaskStatus.DONE).exclude(kind=TaskKind.ESCALATION)
    assert not left.exists()


def test_nothing_is_raised_of_what_ended_a_moment_ago() -> None:
    order = closed_lately(seconds=2)
    processes.question()
    assert str(order.pk) not in processes.question().closed
    just_moved = under_way()
    Order.objects.filter(pk=just_moved.pk).update(status_since=timezone.now() - timedelta(seconds=1))
    for state in (RunState.CLOSED, RunState.BROKEN, RunState.MISSING):
        processes.settle([processes.Seen(order_id=str(just_moved.pk), state=state)], actor=SWEEPER)
    export = open_run(RunKind.EXPORT)
    runs.settle([seen(RunKind.EXPORT, export, RunState.CLOSED)], actor=SWEEPER)
    assert not Finding.objects.exists()
