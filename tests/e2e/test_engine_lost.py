"""Temporal loses its data while workers run on: within two minutes everything is mended or somebody's task."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from temporalio.client import WorkflowExecutionStatus
from temporalio.service import RPCError

from orders.actor import system
from orders.models import Finding, Order, Recovery, StaffTask
from orders.services import refunding, resolving, reviving
from orders.services.run_kinds import KINDS
from orders.vocabulary import Channel, OrderStatus, RunKind, TaskStatus
from temporal_app.runs import RUNS
from temporal_app.schedules import SCHEDULES
from tests.chaos.database import address
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import feed_files
from tests.orders.open_runs import MAKE

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
LEAD = system("lead", Channel.CLI)
#: their rows are there as soon as somebody asks for them
ASKED_FOR = (
    *(RunKind.PROCESS, RunKind.IMPORT, RunKind.EXPORT, RunKind.PARTNER_RUN, RunKind.PLAYBOOK_RUN, RunKind.BATCH),
)
SECONDS_FOR_SCHEDULES, SECONDS_FOR_ALL = 60, 120


@pytest.fixture
def engine(new_engine: Engine) -> Engine:
    return new_engine


def waiting_order() -> Order:
    """An order whose customer has not confirmed the payment yet."""
    return make_order(product=make_product(), payment_method="pm_card_authenticationRequired", started=True)


def has_status(order: Order, status: OrderStatus) -> bool:
    return Order.objects.get(pk=order.pk).status == status


@contextmanager
def stopped(rows: list[tuple[RunKind, Any]]) -> Iterator[None]:
    """Whoever works on one of these rows waits: so a run of each kind is under way at the same moment."""
    with psycopg.connect(address()) as holding:
        for kind, row in rows:
            table = Identifier(KINDS[kind].rows.model._meta.db_table)
            holding.execute(SQL("SELECT 1 FROM {} WHERE id = %s FOR UPDATE").format(table), [row.pk])
        yield
        holding.rollback()


def is_running(engine: Engine, kind: RunKind, row: Any) -> bool:
    id_of = RUNS[kind].id_of
    assert id_of is not None
    try:
        return engine.workflow_status(id_of(KINDS[kind].key(row))) is WorkflowExecutionStatus.RUNNING
    except RPCError:
        return False


def lose_the_data(engine: Engine) -> None:
    engine.temporal.kill()
    for path in engine.temporal.home.path.glob("temporal.sqlite3*"):
        path.unlink()
    engine.temporal.start()


def schedules(engine: Engine) -> set[str]:
    async def listed() -> set[str]:
        client = await engine.client()
        return {one.id async for one in await client.list_schedules()}

    return asyncio.run(listed())


def sweeps(engine: Engine) -> int:
    async def counted() -> int:
        return (await (await engine.client()).count_workflows("WorkflowType = 'SweepWorkflow'")).count

    return asyncio.run(counted())


def is_attended(kind: RunKind, row: Any) -> bool:
    """Mended, over, or somebody's task."""
    key = KINDS[kind].key(row)
    if KINDS[kind].find(key) is None:
        return True
    if kind is RunKind.ORDER:
        return Finding.objects.filter(order_id=row.pk).exists() or Recovery.objects.filter(order_id=row.pk).exists()
    return Finding.objects.filter(reference=reviving.reference(kind, key)).exists()


def do_what_the_tasks_say() -> None:
    for task in StaffTask.objects.exclude(status=TaskStatus.DONE):
        resolving.resolve(task.pk, note="Looked at it", actor=LEAD)


def nothing_is_open(rows: list[tuple[RunKind, Any]]) -> bool:
    do_what_the_tasks_say()
    return all(KINDS[kind].find(KINDS[kind].key(row)) is None for kind, row in rows)


def test_all_that_was_open_is_mended_or_a_task_and_schedules_are_back_without_a_restart(engine: Engine) -> None:
    paid = make_order(product=make_product(), started=True)
    waiting = [waiting_order() for _ in range(2)]
    eventually(lambda: has_status(paid, OrderStatus.COMPLETED), what="the paid order")
    for order in waiting:
        eventually(lambda order=order: has_status(order, OrderStatus.AWAITING_PAYMENT), what="the waiting order")
    engine.let_the_worker_go()
    refund = refunding.request(paid.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken lamp")
    imported = feed_files.receive(feed_files.csv_of(feed_files.row("536365")))
    rows: list[tuple[RunKind, Any]] = [(RunKind.REFUND, refund), (RunKind.IMPORT, imported)]
    rows += [(kind, MAKE[kind]()) for kind in ASKED_FOR if kind is not RunKind.IMPORT]
    with stopped(rows):
        engine.start_worker()
        for kind, row in rows:
            eventually(lambda kind=kind, row=row: is_running(engine, kind, row), what=f"the process of {kind}")
        lose_the_data(engine)
    began = time.monotonic()
    rows += [(RunKind.ORDER, order) for order in waiting]

    eventually(lambda: schedules(engine) >= set(SCHEDULES), seconds=SECONDS_FOR_SCHEDULES, what="the schedules")
    left = SECONDS_FOR_SCHEDULES - (time.monotonic() - began)
    eventually(lambda: sweeps(engine) > 0, seconds=left, what="the sweep")
    left = SECONDS_FOR_ALL - (time.monotonic() - began)
    for kind, row in rows:
        eventually(lambda kind=kind, row=row: is_attended(kind, row), seconds=left, what=f"somebody's look at {kind}")

    eventually(lambda: nothing_is_open(rows), what="the end of all")
    assert {Order.objects.get(pk=order.pk).status for order in waiting} <= {OrderStatus.FAILED, OrderStatus.CANCELLED}
    eventually(lambda: engine.verify_invariants()[0] == 0, what="clean invariants")
