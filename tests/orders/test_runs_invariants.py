"""What must always be true of runs over many parts: a sound one gives no violation, and a broken one is named.

The rules are broken by hand, with the triggers asleep: the guards that normally prevent it are tested elsewhere.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db.models import Model
from django.utils import timezone
from temporalio.client import Client, WorkflowExecutionStatus

from orders.models import Batch, Export, FeedImport, Order, PartnerRun, PlaybookRun, ProcessRun, RestoreDifference
from orders.services import batches, invariants, partner_calls, partner_runs
from orders.services.batches.working import Where
from orders.services.playbooks import following
from orders.services.run_kinds import KINDS
from orders.services.runs_invariants import PARTS, check_runs
from orders.vocabulary import BatchAction, PartnerCode, PlaybookEnding, RestoreDecision, RestoreKind, RunKind
from temporal_app import invariants as engine
from temporal_app.runs import RUNS
from tests.factories import TEST_ACTOR, make_order
from tests.orders import feed_files, playbooks, process_runs
from tests.orders.attempts_exports import make_written
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]
LONG_AGO = timedelta(minutes=1)


def make_batch() -> Batch:
    for _ in range(3):
        make_order()
    chosen = batches.Selection(orders=Order.objects.all(), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    batches.run_chunk(batch.pk, where=Where())
    return batch


def make_partner_run() -> PartnerRun:
    run = partner_runs.start(PartnerCode.RATES, actor=TEST_ACTOR, reason="What is a euro?")
    for call in partner_calls.pending(run.pk, limit=100):
        partner_calls.make(call, actor=TEST_ACTOR)
    partner_runs.end(run.pk)
    return run


def make_process() -> ProcessRun:
    with process_runs.defined(lambda pace: "All is well.", lambda pace: "Too."):
        return process_runs.drive(process_runs.started())


def make_export() -> Export:
    return make_written(make_order(), make_order())


def make_import() -> FeedImport:
    return feed_files.imported(feed_files.row("536365"), feed_files.row("536366"), feed_files.row("536367", price="x"))


def make_playbook_run() -> PlaybookRun:
    run = playbooks.start(make_order(), playbooks.note("a"), playbooks.note("b"))
    for path in ("steps.0", "steps.1"):
        following.execute(str(run.pk), path, actor=TEST_ACTOR)
    following.end(str(run.pk), PlaybookEnding.COMPLETED, message="", actor=TEST_ACTOR)
    return run


MAKE: dict[str, Callable[[], Model]] = {
    "batch": make_batch,
    "partner run": make_partner_run,
    "process": make_process,
    "export": make_export,
    "import": make_import,
    "playbook run": make_playbook_run,
}
#: kind: statements that take the result of one part away, and what is then said
UNFINISHED = {
    "batch": (
        "UPDATE orders_batchitem SET status = 'pending', finished_at = NULL WHERE position = 1",
        "it is completed; without a result: 1 item",
    ),
    "partner run": (
        "UPDATE orders_partnercall SET status = 'pending', finished_at = NULL WHERE subject = 'EUR'",
        "it is completed; without a result: 1 call",
    ),
    "process": (
        "UPDATE orders_processstep SET status = 'pending', finished_at = NULL, outcome = '' WHERE position = 1",
        "it is completed; without a result: 1 step",
    ),
    "export": ("UPDATE orders_exportpart SET content = NULL", "it is completed; without a result: 1 part"),
    "import": (
        "UPDATE orders_feeddocument SET stored_at = NULL WHERE reference = '536365'",
        "it is completed; without a result: 1 invoice",
    ),
    "playbook run": (
        "UPDATE orders_playbooksteprun SET status = 'running' WHERE path = 'steps.0'",
        "it is completed; without a result: 1 step",
    ),
}
#: kind: a statement that loses one part, and what is then said
LOST = {
    "batch": ("DELETE FROM orders_batchitem WHERE position = 1", "3 items frozen, 2 there"),
    "partner run": ("DELETE FROM orders_partnercall WHERE subject = 'EUR'", "3 calls frozen, 2 there"),
    "import": ("DELETE FROM orders_feeddocument WHERE reference = '536365'", "3 invoices frozen, 2 there"),
}


def test_there_is_a_maker_for_every_kind_that_has_parts() -> None:
    assert {parts.kind for parts in PARTS} == set(MAKE) == set(UNFINISHED)
    assert {parts.kind for parts in PARTS if parts.frozen} == set(LOST)


@pytest.mark.parametrize("name", MAKE)
def test_a_run_that_went_well_breaks_no_rule(name: str, partners: Http) -> None:
    MAKE[name]()
    assert [found for found in invariants.check_database() if found.invariant != "outbox"] == []


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_part_that_was_forgotten_is_named(name: str, tamper: Tamper, partners: Http) -> None:
    run, (sql, says) = MAKE[name](), UNFINISHED[name]
    tamper(sql)
    [found] = check_runs()
    assert (found.invariant, found.subject, found.detail) == (name, str(run.pk), says)


@pytest.mark.parametrize("name", LOST)
def test_a_part_that_was_lost_is_named(name: str, tamper: Tamper, partners: Http) -> None:
    run, (sql, says) = MAKE[name](), LOST[name]
    tamper(sql)
    [found] = check_runs()
    assert (found.invariant, found.subject, found.detail) == (name, str(run.pk), says)


# --- What Temporal has ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Listed:
    id: str
    status: WorkflowExecutionStatus = WorkflowExecutionStatus.RUNNING


class Temporal:
    """Lists these workflows, as running where nothing else is said."""

    def __init__(self, listed: Iterable[str | Listed]) -> None:
        self.listed = [Listed(one) if isinstance(one, str) else one for one in listed]

    async def list_workflows(self, query: str, **rest: Any) -> AsyncIterator[Listed]:
        for workflow in self.listed:
            yield workflow


def look(*running: str) -> list[tuple[str, str, str]]:
    found = async_to_sync(engine.check_runs)(cast(Client, Temporal(running)))
    return [(one.invariant, one.subject, one.detail) for one in found]


def age(run: Model, tamper: Tamper, **columns: Any) -> None:
    settings = ", ".join(f"{column} = %s" for column in columns)
    tamper(f"UPDATE {run._meta.db_table} SET {settings} WHERE id = %s", *columns.values(), run.pk)


def test_an_open_run_whose_process_is_gone_is_named(tamper: Tamper) -> None:
    chosen = batches.Selection(orders=Order.objects.filter(pk=make_order().pk), asked={})
    batch = batches.create(chosen, BatchAction.HOLD, actor=TEST_ACTOR, reason="Recall")
    assert look() == []  # on its way to Temporal
    age(batch, tamper, created_at=timezone.now() - LONG_AGO)
    assert look() == [("batch", str(batch.pk), "it is open, and no process works on it")]
    assert look(f"batch:{batch.pk}") == []


@pytest.mark.parametrize("name", MAKE)
def test_a_process_that_outlived_its_run_is_named(name: str, tamper: Tamper, partners: Http) -> None:
    run, kind = MAKE[name](), KINDS[RunKind(name)]
    id_of = RUNS[kind.kind].id_of
    assert id_of is not None
    workflow = id_of(str(run.pk))
    assert look(workflow) == []  # on its way out
    age(run, tamper, **{kind.over_at: timezone.now() - LONG_AGO})
    assert look(workflow) == [(name, str(run.pk), "it has ended, its process still runs")]
    assert look() == []


@pytest.mark.parametrize(
    ("before", "found"),
    [
        (WorkflowExecutionStatus.CONTINUED_AS_NEW, []),
        (WorkflowExecutionStatus.COMPLETED, ["2 runs"]),
        (WorkflowExecutionStatus.TERMINATED, ["2 runs", "the workflow is terminated"]),
    ],
)
def test_runs_of_one_order_are_two_unless_one_continues_the_other(
    before: WorkflowExecutionStatus, found: list[str]
) -> None:
    order = make_order()
    listed = [Listed(f"order:{order.pk}", before), Listed(f"order:{order.pk}")]
    violations = async_to_sync(engine.check_orders)(cast(Client, Temporal(listed)))
    assert [(one.subject, one.detail) for one in violations] == [(order.number, detail) for detail in found]


@pytest.mark.parametrize("decision", ["", RestoreDecision.KEEP])
def test_a_terminated_process_that_the_database_has_forgotten_is_named_until_a_lead_has_decided(decision: str) -> None:
    forgotten = str(uuid4())
    RestoreDifference.objects.create(
        kind=RestoreKind.ORDER_UNKNOWN,
        reference=forgotten,
        name="SO-7",
        decision=decision,
        **({"decided_at": timezone.now(), "decided_by": "lea", "note": "It was ended"} if decision else {}),
    )
    listed = [Listed(f"order:{forgotten}", WorkflowExecutionStatus.TERMINATED)]
    violations = async_to_sync(engine.check_orders)(cast(Client, Temporal(listed)))
    assert [one.subject for one in violations] == ([] if decision else [forgotten])
