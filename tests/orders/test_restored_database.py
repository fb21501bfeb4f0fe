"""A database that is older than Temporal: one incident, nothing undone or started again, numbers go on behind."""

import json
from typing import Any
from unittest import mock

import pytest
from django.urls import reverse

from orders.actor import Actor, person, system
from orders.errors import WrongState
from orders.models import Finding, Recovery, StaffTask, SweepProgress
from orders.services import placing, resolving
from orders.services.sweeping import processes, restoring, runs
from orders.services.sweeping.processes import Seen
from orders.vocabulary import Channel, RunKind, RunState, SweepPart, TaskKind, TaskLevel
from tests.factories import make_order
from tests.orders.api_calls import token_client
from tests.orders.open_runs import told
from tests.orders.staff import make_user, signed_in
from tests.orders.test_sweep_processes import under_way
from tests.orders.test_sweep_runs import open_run, seen

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


def swept(run_id: str, *, unknown: tuple[str, ...] = (), orders: tuple[tuple[str, str], ...] = ()) -> bool:
    return restoring.compare(unknown, orders=orders, run_id=run_id, actor=SWEEPER)


def restored() -> None:
    swept("run-1")
    assert swept("run-4", unknown=("run-2", "run-3"))
    swept("run-5")


def incident() -> StaffTask:
    return StaffTask.objects.get(kind=TaskKind.RESTORED)


def test_a_database_without_sweeps_and_orders_is_a_new_one() -> None:
    assert not swept("run-4", unknown=("run-2", "run-3"))
    assert not StaffTask.objects.exists()


def test_a_copy_that_was_made_before_any_sweep_is_recognised_with_all_that_was_placed_since() -> None:
    """As a backup of the first minute, or an empty database in the place of a lost one."""
    order = under_way()
    assert swept("run-4", unknown=("run-2", "run-3"))
    assert incident().level == TaskLevel.LEAD
    assert restoring.lost_since() == (order.created_at - restoring.SETTLES_WITHIN).isoformat()
    assert processes.settle([Seen(order_id=str(order.pk), state=RunState.CLOSED)], actor=SWEEPER) == 0
    assert not Finding.objects.exists()


def test_a_worker_that_dies_before_it_has_told_leaves_it_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    under_way()
    with monkeypatch.context() as dies:
        dies.setattr(restoring.tasks, "open_task", mock.Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            swept("run-4", unknown=("run-2",))
    assert swept("run-5", unknown=("run-2",))
    assert restoring.is_standing()


def test_a_sweep_that_ended_since_the_question_is_not_forgotten() -> None:
    swept("run-1")
    swept("run-2")
    assert not swept("run-3", unknown=("run-2",))


@pytest.mark.parametrize("half", ["question", "answers"])
def test_a_sweep_writes_nothing_back_over_what_the_database_remembers(
    half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Restored while a sweep has the row in its hands, it would remember sweeps that it has forgotten, for good."""
    for run_id in ("run-1", "run-2", "run-3"):
        swept(run_id)
    export = open_run(RunKind.EXPORT)

    def set_back(*given: Any, **named: Any) -> Any:
        SweepProgress.objects.filter(part=SweepPart.RUNS).update(places={"sweeps": ["run-1"]})
        return original(*given, **named)

    name = "_not_waiting" if half == "question" else "_settle"
    original = getattr(runs, name)
    monkeypatch.setattr(runs, name, set_back)
    if half == "question":
        runs.question()
    else:
        runs.settle([seen(RunKind.EXPORT, export, RunState.CLOSED)], actor=SWEEPER)
    assert restoring.sweeps() == ("run-1",)
    assert swept("run-4", unknown=("run-2", "run-3"))


def test_forgotten_sweeps_are_one_incident_for_a_lead_until_it_is_resolved() -> None:
    restored()
    assert (incident().level, incident().subject) == (TaskLevel.LEAD, "database")
    assert not swept("run-6", unknown=("run-2", "run-3")), "told once"
    assert StaffTask.objects.count() == 1
    assert restoring.is_standing()
    resolving.resolve(incident().pk, note="Restored to 10:02", actor=lead())
    assert not restoring.is_standing()
    assert not restoring.lost_since()


def test_its_task_is_not_resolved_before_a_sweep_has_compared_the_database() -> None:
    swept("run-1")
    actor = lead()
    assert swept("run-3", unknown=("run-2",))
    restoring.compare((), orders=(), run_id="run-3b", actor=SWEEPER, answered=False)
    with pytest.raises(WrongState, match="still comparing"):
        resolving.resolve(incident().pk, note="Restored to 10:02", actor=actor)
    swept("run-4")
    resolving.resolve(incident().pk, note="Restored to 10:02", actor=actor)
    # And again, should it be restored once more.
    assert swept("run-6", unknown=("run-5",))
    with pytest.raises(WrongState, match="still comparing"):
        resolving.resolve(StaffTask.objects.exclude(status="done").get().pk, note="Again", actor=actor)


def test_nothing_is_undone_or_started_again_while_it_stands_and_what_differs_is_listed() -> None:
    order, lost, export = under_way(), under_way(), open_run(RunKind.EXPORT)
    restored()
    states = [
        Seen(order_id=str(order.pk), state=RunState.CLOSED),
        Seen(order_id=str(lost.pk), state=RunState.MISSING),
    ]
    assert processes.settle(states, actor=SWEEPER) == 0
    for state in (RunState.BROKEN, RunState.MISSING, RunState.CLOSED):
        assert runs.settle([seen(RunKind.EXPORT, export, state)], actor=SWEEPER) == 0
    assert told() == []
    assert not Recovery.objects.exists()
    assert not Finding.objects.exists()
    assert order.number in incident().says
    assert f"export:{export.pk}" in incident().says

    resolving.resolve(incident().pk, note="Restored to 10:02; one by one", actor=lead())
    assert processes.settle(states[:1], actor=SWEEPER) == 1
    assert StaffTask.objects.get(order=order).kind == TaskKind.PROCESS_ENDED, "then a lead decides of each"
    assert not Recovery.objects.exists()


def test_orders_without_a_row_are_named_and_their_numbers_are_not_given_again() -> None:
    mine = make_order(started=True)
    given = [f"SO-{int(placing.next_number().removeprefix('SO-')) + 40}", "not-a-number"]
    orders = ((str(mine.pk), mine.number), ("0191f0a0-0000-7000-8000-000000000001", given[0]), ("theirs", given[1]))
    swept("run-1")
    assert swept("run-3", unknown=("run-2",), orders=orders)
    assert f"without a row here (1): {given[0]}." in incident().says
    assert mine.number not in incident().says
    assert int(placing.next_number().removeprefix("SO-")) > int(given[0].removeprefix("SO-"))


def test_it_stands_on_the_landing_page_and_in_the_lists_of_tasks() -> None:
    restored()
    landing = signed_in("orders.view_stafftask").get("/admin/").content.decode()
    assert "The database was restored" in landing
    page = signed_in("orders.view_stafftask", name="bob").get(reverse("admin:orders_stafftask_changelist"))
    assert "older than Temporal" in page.content.decode()
    [listed] = json.loads(token_client("view_stafftask").get("/api/tasks/").content)["results"]
    assert (listed["order"], listed["batch"], listed["subject"]) == (None, None, "database")


def test_a_number_that_is_far_away_is_not_believed() -> None:
    before = int(placing.next_number().removeprefix("SO-"))
    restoring.move_numbers_ahead(["SO-999999999"])
    assert int(placing.next_number().removeprefix("SO-")) <= before + 2


def lead() -> Actor:
    return person(make_user("orders.work_task", "orders.work_lead_task", name="lea"), Channel.ADMIN)
