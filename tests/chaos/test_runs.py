"""The harness knows every kind of run: as the product has it, by SQL of its own, and by Temporal's names."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
import pytest
from django.db import connection

from backoffice.chaos import strikes
from backoffice.chaos.acts import KINDS, drawn
from backoffice.chaos.arena import Arena
from backoffice.chaos.runs import NIGHTLY, OPEN, OVER, SCHEDULES, STRUCK, OpenRun, named, of_row
from backoffice.chaos.watch import MANY, ONE, Watch
from orders.models import Order
from orders.services import run_kinds
from orders.vocabulary import RunKind
from temporal_app import schedules
from temporal_app.runs import RUNS
from temporal_app.workflow_ids import SWEEP
from tests.chaos.database import address
from tests.factories import make_order
from tests.orders.open_runs import MAKE

WITH_ROWS = [kind.kind for kind in run_kinds.WITH_OPEN_ROWS]


def test_every_kind_of_run_and_every_schedule_can_be_struck() -> None:
    assert {*STRUCK, *NIGHTLY} == set(RUNS)
    assert set(SCHEDULES) == set(schedules.SCHEDULES)
    # Of what an event starts no row says that it is over.
    assert set(OVER) == set(WITH_ROWS)


def test_a_run_is_known_by_its_type_and_id_and_a_strangers_is_not() -> None:
    for kind, run in RUNS.items():
        if run.id_of is not None:
            assert (
                named(kind, run.id_of("1")) == of_row(kind, "1") == OpenRun(kind=kind, key="1", workflow=run.id_of("1"))
            )
        else:
            assert named(kind, f"{run.schedule}-2026-01-01") is not None
        assert named(kind, "stranger:1") is None
    assert named(RunKind.ORDER, "order-recovery:1") is None


@pytest.mark.django_db
@pytest.mark.parametrize("kind", MAKE, ids=str)
def test_an_open_row_is_found_and_is_not_over(kind: RunKind) -> None:
    row = MAKE[kind]()
    key = run_kinds.KINDS[kind].key(row)
    with connection.cursor() as cursor:
        cursor.execute(OVER[kind], [key])
        assert cursor.fetchone() == (False,)
        cursor.execute(OPEN)
        # Nobody is waiting for a mail: it is given up after an hour, and told by itself.
        assert ((str(kind), key) in cursor.fetchall()) == (kind is not RunKind.NOTICE)


def test_each_terminate_names_every_kind_in_an_order_of_its_own() -> None:
    acts = [
        act for seed in range(9) for act in drawn(random.Random(seed), len(KINDS), 60.0) if act.kind == "terminate run"
    ]
    assert all(set(act.kinds) == set(STRUCK) for act in acts)
    assert len({act.kinds[0] for act in acts}) > 3


@pytest.mark.django_db(transaction=True)
def test_a_run_is_picked_by_the_order_of_kinds_and_only_where_its_row_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    arena = cast(Arena, SimpleNamespace(wiring=SimpleNamespace(database_url=address())))
    order, export = make_order(started=True), MAKE[RunKind.EXPORT]()
    running = [
        ("OrderWorkflow", "order:00000000-0000-0000-0000-000000000001"),
        ("OrderWorkflow", f"order:{order.pk}"),
        ("ExportWorkflow", f"export:{export.pk}"),
        ("Other", "other"),
    ]
    monkeypatch.setattr(strikes, "under_way", lambda arena: running)

    def picked(*kinds: RunKind) -> str:
        found = strikes.pick(arena, kinds)
        return found.workflow if found else ""

    assert picked(RunKind.BATCH, RunKind.EXPORT, RunKind.ORDER) == f"export:{export.pk}"
    assert picked(RunKind.ORDER) == f"order:{order.pk}"
    assert picked(RunKind.BATCH) == ""


def test_the_address_of_the_tests_database_answers(db: None) -> None:
    with psycopg.connect(address()) as opened:
        assert opened.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.django_db(transaction=True)
def test_a_lost_store_is_gone_and_all_that_was_open_is_watched(tmp_path: Path) -> None:
    export, order = MAKE[RunKind.EXPORT](), make_order(started=True)
    Order.objects.filter(pk=order.pk).update(process_run_id="run-1")
    for name in ("temporal.sqlite3", "temporal.sqlite3-wal", "simulator.sqlite3"):
        (tmp_path / name).touch()
    temporal = SimpleNamespace(send=lambda number: False)
    arena = SimpleNamespace(
        wiring=SimpleNamespace(database_url=address()),
        home=SimpleNamespace(path=tmp_path),
        members={"temporal": temporal},
        tend_until_up=lambda name: None,
    )
    watch = Watch(arena=cast(Arena, arena))
    strikes.lose_engine(cast(Arena, arena), watch, say=lambda words: None)
    assert [path.name for path in tmp_path.iterdir()] == ["simulator.sqlite3"]
    assert {run.workflow for run in watch.struck} == {f"export:{export.pk}", f"order:{order.pk}"}
    patience = {item.name: item.patience for item in watch.items}
    assert {patience[run.workflow] for run in watch.struck} == {MANY}
    assert {name for name, seconds in patience.items() if seconds == ONE} == set(SCHEDULES)
    assert [item.what for item in watch.items if item.name == SWEEP] == ["schedule", "next sweep"]
