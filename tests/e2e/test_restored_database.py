"""The database is set back under running engine and workers: nothing is done by itself, and a lead brings it to an end.

The copy is made and brought back by SQL, all tables in one transaction: to everybody else it is a restored backup.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, transaction
from temporalio.client import Client

from orders.actor import Actor, person
from orders.models import Order, Recovery, Refund, RestoreDifference, StaffTask
from orders.services import resolving, restored
from orders.services.sweeping import restoring
from orders.vocabulary import Channel, OrderStatus, RestoreDecision, RestoreKind, TaskKind
from temporal_app.workflow_ids import SWEEP
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order
from tests.orders.staff import make_user
from tests.simulator.talk import Http

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
TABLES = """
    SELECT tablename FROM pg_tables
    WHERE schemaname = 'public' AND tablename NOT IN ('django_migrations', 'django_content_type', 'auth_permission')
"""
COLUMNS = """
    SELECT string_agg(quote_ident(column_name), ', ') FROM information_schema.columns
    WHERE table_schema = 'public' AND table_name = %s AND is_generated = 'NEVER'
"""


def back_up() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA backup")
        for table in tables(cursor):
            cursor.execute(f'CREATE TABLE backup."{table}" AS TABLE public."{table}"')


def restore() -> None:
    """Everything at once, as a restored server comes back."""
    with transaction.atomic(), connection.cursor() as cursor:
        names = tables(cursor)
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("LOCK " + ", ".join(f'public."{table}"' for table in names))
        for table in names:
            cursor.execute(COLUMNS, [table])
            columns = cursor.fetchone()[0]
            cursor.execute(f'DELETE FROM public."{table}"')
            cursor.execute(
                f'INSERT INTO public."{table}" ({columns}) OVERRIDING SYSTEM VALUE '
                f'SELECT {columns} FROM backup."{table}"'
            )
        cursor.execute("DROP SCHEMA backup CASCADE")


def tables(cursor: Any) -> list[str]:
    cursor.execute(TABLES)
    return sorted(row[0] for row in cursor.fetchall())


def call(engine: Engine, ask: Callable[[Client], Any]) -> None:
    async def asking() -> None:
        await ask(await engine.client())

    asyncio.run(asking())


def swept(engine: Engine, times: int = 1) -> None:
    """So many more sweeps have settled."""
    for _ in range(times):
        known = restoring.sweeps()
        call(engine, lambda client: client.get_schedule_handle(SWEEP).trigger())
        eventually(lambda known=known: restoring.sweeps() != known, what="a sweep")


def books(engine: Engine) -> dict[str, tuple[int, int, int]]:
    """Order -> charged, refunded and parcels that stand, by the partners' word."""
    with Http(engine.simulator.url) as http:
        found = http.request("GET", "/oracle/orders")[1]["orders"]
    return {
        order: (one["charged_minor"], one["refunded_minor"], one["shipments_booked"]) for order, one in found.items()
    }


def is_completed(order: Order) -> bool:
    return Order.objects.filter(pk=order.pk, status=OrderStatus.COMPLETED).exists()


def lead() -> Actor:
    names = ("work_task", "work_lead_task", "decide_restore")
    return person(make_user(*(f"orders.{name}" for name in names), name="lea"), Channel.ADMIN)


def test_nothing_is_undone_refunded_or_started_again_until_a_lead_decides(new_engine: Engine) -> None:
    engine = new_engine
    engine.faults({"partner": "carrier", "operation": "shipments.book", "mode": "unavailable"})
    finished, undone = make_order(started=True), make_order(started=True)
    for order in (finished, undone):
        failed = order.events.filter(type="order.step_retrying")
        eventually(failed.exists, what="a failed booking")
    swept(engine, 2)
    back_up()

    engine.faults()
    forgotten = make_order(started=True)
    for order in (finished, undone, forgotten):
        eventually(lambda order=order: is_completed(order), what=f"{order.number} shipped")
    swept(engine, 2)
    total = forgotten.total_minor
    before = books(engine)
    assert before == {str(order.pk): (total, 0, 1) for order in (finished, undone, forgotten)}

    restore()
    eventually(restoring.is_standing, what="the restored database is recognised")
    swept(engine, 3)
    eventually(lambda: RestoreDifference.objects.filter(asked_at__isnull=False).count() == 3, what="what differs")
    kinds = dict(RestoreDifference.objects.values_list("name", "kind"))
    assert kinds == {
        finished.number: RestoreKind.ORDER_BEHIND,
        undone.number: RestoreKind.ORDER_BEHIND,
        forgotten.number: RestoreKind.ORDER_UNKNOWN,
    }
    assert [task.kind for task in StaffTask.objects.exclude(status="done")] == [TaskKind.RESTORED]
    assert books(engine) == before
    assert not Recovery.objects.exists()
    assert not Refund.objects.exists()

    actor = lead()
    assert restored.decide(RestoreDecision.FINISH, note="Arrived", names=[finished.number], actor=actor).done == 1
    assert restored.decide(RestoreDecision.UNDO, note="Lost", actor=actor).done == 2
    assert books(engine) == before, "before the task is resolved nothing is done"
    resolving.resolve(StaffTask.objects.get(kind=TaskKind.RESTORED).pk, note="Restored to 10:02", actor=actor)

    eventually(lambda: is_completed(finished), what="the finished order")
    for order in (undone, forgotten):
        eventually(
            lambda order=order: Order.objects.filter(pk=order.pk, status=OrderStatus.FAILED).exists(),
            what=f"the undo of {order.number}",
        )
    assert books(engine) == {
        str(finished.pk): (total, 0, 1),
        str(undone.pk): (total, total, 0),
        str(forgotten.pk): (total, total, 0),
    }
    swept(engine, 2)
    found: list[Any] = []

    def clean() -> bool:
        code, answer = engine.verify_invariants()
        found[:] = [answer]
        return code == 0

    with contextlib.suppress(AssertionError):
        eventually(clean)
    assert clean(), found


def test_what_a_worker_saw_of_an_emptied_database_is_not_kept_for_the_next_test(running_engine: Engine) -> None:
    """The servers are shared, and a worker runs on while the database is emptied between two tests."""
    restoring.recognise([], run_id="a-sweep-of-now", actor=TEST_ACTOR)
    restoring.recognise(["a-sweep-of-the-test-before"], actor=TEST_ACTOR)
    assert restoring.is_standing()

    running_engine.make_ready()

    assert not restoring.is_standing()
