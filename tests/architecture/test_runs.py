"""Every workflow has its row in the two tables of runs: what nobody looks after stays open for ever, silently."""

import inspect

import pytest

from orders.services.run_kinds import KINDS, WITH_OPEN_ROWS, WhenGone
from orders.services.sweeping.runs import ASKED, OF_ORDERS
from orders.vocabulary import RunKind
from temporal_app import starter, workflow_ids
from temporal_app.registry import REGISTRY
from temporal_app.runs import RUNS, kind_of
from temporal_app.schedules import SCHEDULES
from tests.orders.open_runs import MAKE

WORKFLOWS = {workflow.__name__ for contents in REGISTRY.values() for workflow in contents.workflows}


def test_every_workflow_is_of_one_kind_of_run() -> None:
    assert set(KINDS) == set(RUNS) == set(RunKind)
    named = [run.workflow for run in RUNS.values()]
    assert sorted(named) == sorted(WORKFLOWS), "Give it a row in orders/services/run_kinds.py and temporal_app/runs.py."


def test_every_schedule_is_a_run_that_the_next_round_or_a_backfill_makes_up_for() -> None:
    mine = {run.schedule: run.workflow for run in RUNS.values() if run.schedule}
    assert mine == {name: schedule.action.workflow for name, schedule in SCHEDULES.items()}  # type: ignore[attr-defined]
    assert {kind for kind, run in RUNS.items() if run.schedule} == {
        kind.kind for kind in KINDS.values() if kind.when_gone is WhenGone.MADE_UP_FOR
    }


def test_every_run_with_rows_is_asked_about_and_has_a_message_that_starts_it() -> None:
    with_rows = {kind.kind for kind in KINDS.values() if kind.model is not None}
    assert {kind.kind for kind in WITH_OPEN_ROWS} == with_rows - {RunKind.ORDER_EVENT}
    assert {kind.kind for kind in ASKED} == with_rows - OF_ORDERS - {RunKind.ORDER_EVENT} == set(MAKE)
    for kind in KINDS.values():
        assert (kind.topic is None) == (kind.model is None)
        assert kind.topic is None or kind.topic in starter.DELIVER


@pytest.mark.parametrize("kind", [kind for kind, run in RUNS.items() if run.id_of], ids=str)
def test_an_id_tells_its_kind_and_its_key(kind: RunKind) -> None:
    id_of = RUNS[kind].id_of
    assert id_of is not None
    assert kind_of(id_of("a-key:2")) == (kind, "a-key:2")


def test_no_workflow_id_is_made_outside_of_the_table() -> None:
    made = {function for name, function in inspect.getmembers(workflow_ids, inspect.isfunction)}
    assert made == {run.id_of for run in RUNS.values() if run.id_of}


def test_an_id_of_another_kind_is_none_of_ours() -> None:
    assert kind_of("backoffice:sweep-2026-11-29T09:00:00Z") is None
    assert kind_of("somebody") is None
