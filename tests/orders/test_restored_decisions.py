"""A lead decides what becomes of what a restored database does not have; the gateway's books agree afterwards.

The database is set back by a savepoint: the partners keep what was done since.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.utils import timezone
from temporalio.service import RPCError, RPCStatusCode

from orders.actor import Actor, person, system
from orders.errors import WrongState
from orders.models import Order, OutboxMessage, RestoreDifference, StaffTask
from orders.services import invariants, placing, process, recovering, resolving, restored
from orders.services.sweeping import processes, restoring, runs
from orders.services.sweeping.processes import Seen
from orders.vocabulary import (
    Channel,
    EventType,
    OrderStatus,
    RestoreDecision,
    RestoreKind,
    RunKind,
    RunState,
    TaskKind,
    Topic,
)
from temporal_app import relay
from tests.factories import TEST_ACTOR, make_order, make_reserved_order
from tests.orders.outbox_rows import let_time_pass
from tests.orders.relaying import Temporal, new_relay, relay_once
from tests.orders.staff import make_user
from tests.orders.test_every_failpoint import FORWARD, UNDO, retried
from tests.orders.test_sweep_processes import under_way
from tests.orders.test_sweep_runs import open_run
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db
SWEEPER = system("sweeper")


def reserved() -> Order:
    """An order that Temporal has been told of."""
    order = make_reserved_order()
    OutboxMessage.objects.filter(delivered_at=None).update(delivered_at=timezone.now())
    return order


@contextmanager
def forgotten_by_the_database() -> Iterator[None]:
    """The database is as it was before; Temporal, gateway and carrier are not."""
    mark = transaction.savepoint()
    yield
    transaction.savepoint_rollback(mark)


def lead() -> Actor:
    names = ("work_task", "work_lead_task", "decide_restore")
    return person(make_user(*(f"orders.{name}" for name in names), name="lea"), Channel.ADMIN)


def recognised(*orders: tuple[str, str], ended: tuple[Order, ...] = ()) -> StaffTask:
    """What the sweep does when Temporal remembers one that the database has forgotten."""
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    assert restoring.compare(("run-2",), orders=orders, run_id="run-3", actor=SWEEPER)
    restoring.compare((), orders=orders, run_id="run-4", actor=SWEEPER)
    processes.settle([Seen(order_id=str(one.pk), state=RunState.CLOSED) for one in ended], actor=SWEEPER)
    restored.ask_partners()
    return StaffTask.objects.get(kind=TaskKind.RESTORED)


def shipped(order: Order) -> None:
    for step in FORWARD:
        retried(step, order)
    order.refresh_from_db()
    assert order.status == OrderStatus.COMPLETED


def undone_by_the_recovery(order: Order) -> None:
    """What the recovery run does when the relay has told of it."""
    assert recovering.adopt(str(order.pk), run_id="0191f0a0-0000-7000-8000-00000000ffff", actor=TEST_ACTOR)
    for step in UNDO:
        retried(step, order)
    order.refresh_from_db()
    assert order.status == OrderStatus.FAILED


def given_out() -> list[str]:
    """Topics of what a relay may take."""
    return list(OutboxMessage.objects.filter(delivered_at=None).order_by("id").values_list("topic", flat=True))


def charged_and_refunded(partners: Http) -> tuple[int, int]:
    books = partners.request("GET", "/oracle/orders")[1]
    orders = books["orders"].values()
    return sum(one["charged_minor"] for one in orders), sum(one["refunded_minor"] for one in orders)


def test_an_order_that_was_paid_and_shipped_since_is_undone_with_the_money_that_no_row_knows(partners: Http) -> None:
    order = reserved()
    with forgotten_by_the_database():
        shipped(order)
    task = recognised(ended=(order,))
    found = RestoreDifference.objects.get()
    assert (found.kind, found.taken_minor, found.has_parcel) == (RestoreKind.ORDER_BEHIND, order.total_minor, True)
    assert given_out() == []
    assert charged_and_refunded(partners) == (order.total_minor, 0), "nothing goes back by itself"
    assert restored.decide(RestoreDecision.UNDO, note="Too old a backup", actor=lead()).done == 1
    assert given_out() == [Topic.RECOVER_ORDER]
    resolving.resolve(task.pk, note="Decided", actor=task_lead())
    undone_by_the_recovery(order)
    assert charged_and_refunded(partners) == (order.total_minor, order.total_minor)
    assert_sound()


def test_an_order_that_was_paid_and_shipped_since_is_finished_without_doing_anything_twice(partners: Http) -> None:
    order = reserved()
    with forgotten_by_the_database():
        shipped(order)
    recognised(ended=(order,))
    assert restored.decide(RestoreDecision.FINISH, note="It has arrived", actor=lead()).done == 1
    message = OutboxMessage.objects.get(topic=Topic.START_ORDER, delivered_at=None)
    assert message.body["again"] is True
    order.refresh_from_db()
    process.adopt(str(order.pk), run_id="0191f0a0-0000-7000-8000-00000000eeee")
    twice = AssertionError("it is done already")
    with (
        mock.patch("orders.services.shipping.carrier.book", side_effect=twice),
        mock.patch("orders.services.payments.gateway.confirm", side_effect=twice),
    ):
        shipped(order)
    assert charged_and_refunded(partners) == (order.total_minor, 0)
    assert order.events.get(type=EventType.PAYMENT_CAPTURED).data["resolved_by_lookup"] is True
    assert_sound()


def test_an_order_that_was_only_placed_by_then_is_started_by_the_decision(partners: Http) -> None:
    order = make_order()
    with forgotten_by_the_database():
        placing.start(order.number, actor=TEST_ACTOR)
        shipped(order)
    order.refresh_from_db()
    recognised((str(order.pk), order.number))
    assert RestoreDifference.objects.get().kind == RestoreKind.ORDER_BEHIND
    assert restored.decide(RestoreDecision.FINISH, note="It has arrived", actor=lead()).done == 1
    order.refresh_from_db()
    assert order.status == OrderStatus.QUEUED
    shipped(order)
    assert charged_and_refunded(partners) == (order.total_minor, 0)


def test_an_order_without_a_row_gets_one_for_its_money_to_go_back(partners: Http) -> None:
    with forgotten_by_the_database():
        order = reserved()
        shipped(order)
        unknown = (str(order.pk), order.number)
    assert not Order.objects.exists()
    task = recognised(unknown)
    with pytest.raises(WrongState, match=f"Decide first about the orders without a row: {unknown[1]}"):
        resolving.resolve(task.pk, note="All well", actor=task_lead())
    assert restored.decide(RestoreDecision.UNDO, note="Nobody knows it", actor=lead()).done == 1
    row = Order.objects.get()
    assert (str(row.pk), row.number, row.source) == (*unknown, "restored")
    resolving.resolve(task.pk, note="Decided", actor=task_lead("mia"))
    undone_by_the_recovery(row)
    assert charged_and_refunded(partners) == (row.total_minor, row.total_minor)
    assert_sound()


def test_decisions_are_for_all_or_one_by_one_and_none_is_taken_twice(partners: Http) -> None:
    orders = [reserved() for _ in range(3)]
    with forgotten_by_the_database():
        for order in orders:
            shipped(order)
    recognised(ended=tuple(orders))
    actor = lead()
    one = restored.decide(RestoreDecision.FINISH, note="Arrived", names=[orders[0].number], actor=actor)
    assert one.done == 1
    assert restored.decide(RestoreDecision.UNDO, note="Not arrived", actor=actor).done == 2
    with pytest.raises(WrongState, match="Nothing of what differs"):
        restored.decide(RestoreDecision.UNDO, note="Again", actor=actor)
    processes.settle([Seen(order_id=str(order.pk), state=RunState.CLOSED) for order in orders], actor=SWEEPER)
    assert not RestoreDifference.objects.filter(decision="").exists(), "what was decided is not asked about again"


def test_orders_whose_start_waits_again_are_asked_about_too() -> None:
    order = make_order(started=True)
    Order.objects.update(status_since=timezone.now() - timedelta(minutes=1))
    assert processes.question().in_process == ()
    recognised()
    assert processes.question().in_process == (str(order.pk),)


def test_while_the_partners_do_not_answer_nothing_is_decided(partners: Http) -> None:
    order = reserved()
    with forgotten_by_the_database():
        shipped(order)
    partners.fault(partner="carrier", mode="error_before")
    recognised(ended=(order,))
    decided = restored.decide(RestoreDecision.UNDO, note="Now", actor=lead())
    assert (decided.done, list(decided.refused)) == (0, [order.number])


def test_the_relay_holds_everything_back_from_the_moment_that_a_worker_notices() -> None:
    memory = restoring.Memory()
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    assert not restoring.holds_back(memory, actor=SWEEPER)
    with forgotten_by_the_database():
        restoring.compare((), orders=(), run_id="run-2", actor=SWEEPER)
        assert not restoring.holds_back(memory, actor=SWEEPER)
    under_way()
    assert restoring.holds_back(memory, actor=SWEEPER), "before any sweep"
    assert restoring.holds_back(memory, actor=SWEEPER)
    for run_id in ("run-3", "run-4"):
        restoring.compare((), orders=(), run_id=run_id, actor=SWEEPER)
    task = StaffTask.objects.get(kind=TaskKind.RESTORED)
    resolving.resolve(task.pk, note="Restored to 10:02", actor=task_lead())
    assert not restoring.holds_back(memory, actor=SWEEPER)


def test_a_database_that_is_set_back_between_two_sweeps_is_noticed_by_workers_that_run_and_told_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restoring, "LOOK_EVERY", 0.0)
    running, frozen = restoring.Memory(), restoring.Memory()
    actor = task_lead()
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    with forgotten_by_the_database():
        for memory in (running, frozen):
            under_way()
            assert not restoring.holds_back(memory, actor=SWEEPER)
    under_way()
    assert restoring.holds_back(running, actor=SWEEPER)
    for run_id in ("run-2", "run-3"):
        restoring.compare((), orders=(), run_id=run_id, actor=SWEEPER)
    resolving.resolve(StaffTask.objects.get(kind=TaskKind.RESTORED).pk, note="Restored to 10:02", actor=actor)
    assert not restoring.holds_back(running, actor=SWEEPER)
    assert not restoring.holds_back(frozen, actor=SWEEPER), "it saw what was gone before anybody noticed"
    with forgotten_by_the_database():
        under_way()
        assert not restoring.holds_back(frozen, actor=SWEEPER)
    assert restoring.holds_back(frozen, actor=SWEEPER), "once more"


def test_no_number_is_given_twice_from_the_moment_that_a_worker_notices() -> None:
    memory = restoring.Memory()
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    with forgotten_by_the_database():
        restoring.compare((), orders=(), run_id="run-2", actor=SWEEPER)
        given = [int(number.removeprefix("SO-")) for number in placing.next_numbers(30)]
        restoring.holds_back(memory, actor=SWEEPER)
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('orders_order_number', %s)", [given[0]])
    restoring.holds_back(memory, actor=SWEEPER)
    assert placing.newest_number() >= given[-1]


def assert_sound() -> None:
    OutboxMessage.objects.filter(delivered_at=None).update(delivered_at=timezone.now())
    assert list(invariants.check_database()) == []
    assert list(invariants.check_books()) == []


def test_a_sweep_that_was_under_way_when_the_database_was_set_back_notices_it_before_it_settles() -> None:
    mine = system("sweeper", run_id="run-2")
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    with forgotten_by_the_database():
        restoring.compare((), orders=(), run_id="run-2", actor=mine)
        restoring.require_remembered(mine)
        assert not restoring.is_standing()
    restoring.require_remembered(mine)
    assert restoring.is_standing()


def test_a_database_that_is_set_back_while_a_sweep_settles_gets_no_task_about_its_orders(
    partners: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, order = system("sweeper", run_id="run-2"), reserved()
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    mark = transaction.savepoint()
    restoring.compare((), orders=(), run_id="run-2", actor=mine)
    shipped(order)

    def set_back(seen: object) -> set[str]:
        """Between the first look at the rows and the orders one by one."""
        transaction.savepoint_rollback(mark)
        return set()

    monkeypatch.setattr(processes, "_as_they_should", set_back)
    restoring.require_remembered(mine)
    processes.settle([Seen(order_id=str(order.pk), state=RunState.CLOSED)], actor=mine)

    assert [task.kind for task in StaffTask.objects.exclude(status="done")] == [TaskKind.RESTORED]


def test_a_database_that_is_set_back_while_a_sweep_settles_has_no_run_started_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mine, export = system("sweeper", run_id="run-2"), open_run(RunKind.EXPORT)
    marks, is_standing = [transaction.savepoint()], restoring.is_standing
    restoring.compare((), orders=(), run_id="run-2", actor=mine)

    def set_back() -> bool:
        """Between the first look at the rows and the runs one by one."""
        standing = is_standing()
        if marks:
            transaction.savepoint_rollback(marks.pop())
        return standing

    monkeypatch.setattr(restoring, "is_standing", set_back)
    seen = runs.Seen(kind=RunKind.EXPORT, key=str(export.pk), state=RunState.MISSING)
    assert runs.settle([seen], actor=mine) == 0

    assert [task.kind for task in StaffTask.objects.exclude(status="done")] == [TaskKind.RESTORED]
    assert not OutboxMessage.objects.filter(delivered_at=None).exists()


def test_no_message_leaves_until_the_lead_has_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    temporal = Temporal()
    monkeypatch.setitem(relay.DELIVER, Topic.START_ORDER, temporal.deliver)
    task = recognised()
    order = make_order(started=True)
    let_time_pass(60)
    assert relay_once() == 0
    resolving.resolve(task.pk, note="Restored to 10:02", actor=task_lead())
    assert relay_once() == 1
    assert temporal.delivered == [order.number]


def test_a_relay_that_starts_asks_temporal_before_it_takes_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    restoring.compare((), orders=(), run_id="run-1", actor=SWEEPER)
    answers = [RPCError("away", RPCStatusCode.UNAVAILABLE, b""), ("run-2",)]

    async def other_sweeps(client: object, known: set[str]) -> tuple[str, ...]:
        assert known == {"run-1"}
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(relay, "other_sweeps", other_sweeps)
    monkeypatch.setattr(relay, "LOOK_EVERY", 0.0)
    async_to_sync(new_relay().compare_with_temporal)()
    assert answers == []
    assert restoring.is_standing()


def task_lead(name: str = "tom") -> Actor:
    return person(make_user("orders.work_task", "orders.work_lead_task", name=name), Channel.ADMIN)
