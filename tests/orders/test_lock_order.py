"""Every service beside every other, on two connections: whoever waits is served, and nobody waits in a circle.

The first is stopped behind each of its locks in turn while the second runs, until that has ended or waits too; then it
goes on. PostgreSQL finds a circle, and that is a failure. All is rolled back, so one world serves for all plays. The
order that they keep is in ARCHITECTURE.md, "In which order rows are locked". A service of several transactions stands
here by the work of one of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from itertools import combinations_with_replacement
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import DeadlockDetected

from orders import history
from orders.actor import Actor
from orders.errors import DomainError
from orders.models import (
    Batch,
    BatchItem,
    Order,
    OutboxMessage,
    Reservation,
    ReturnCase,
    StaffTask,
    StockItem,
)
from orders.services import (
    batches,
    cancelling,
    catalogue,
    deciding,
    erasing,
    fraud_rules,
    holding,
    placing,
    placing_many,
    process,
    quality,
    refunding,
    returning,
    reviewing,
    stepping,
    stock,
    tasks,
)
from orders.services.batches.working import Where
from orders.services.playbooks import publishing, running, setting
from orders.services.processes import releasing
from orders.services.sweeping import deadlines, processes
from orders.vocabulary import BatchAction, FailureType, ItemStatus, OrderStatus, RunState
from tests.factories import TEST_ACTOR, make_order, make_product, make_reserved_order
from tests.orders import driving, playbooks
from tests.orders.connections import PATIENCE, Connections, connections

LOCKS = re.compile(r"\bFOR (UPDATE|NO KEY UPDATE|KEY SHARE)\b|^\s*(INSERT|UPDATE|WITH)\b|pg_advisory_xact_lock", re.I)
TABLE = re.compile(r"orders_\w+|pg_advisory_xact_lock")
#: rows are added to these, under the lock of what they tell of, and nobody waits for another one's
WRITTEN_ONLY = {"orders_orderevent", "orders_command", "orders_outboxmessage"}


@dataclass
class World:
    """Rows that the services share, so that each can meet every other one."""

    #: the order of one is the other way round than that of the other, wherever two are locked
    products: list[Any] = field(default_factory=list)
    ended: list[Order] = field(default_factory=list)
    placed: list[Order] = field(default_factory=list)
    done: list[Order] = field(default_factory=list)
    reserved: Any = None
    reserving: Any = None
    failing: Any = None
    in_review: Any = None
    case: Any = None
    price: Any = None
    refund: Any = None
    owed: Any = None
    publication: Any = None
    holds: Any = None
    starts: Any = None
    failed: Any = None
    task: Any = None
    run: Any = None


def chief(name: str) -> Actor:
    return playbooks.chief(name)


def both(products: list[Any]) -> tuple[placing.NewLine, ...]:
    return tuple(placing.NewLine(sku=product.sku, quantity=1) for product in products)


def new(products: list[Any], *, reference: str = "", customer: str = "") -> placing.NewOrder:
    return placing.NewOrder(
        currency="GBP",
        payment_method="pm_card_visa",
        ship_to_country="GB",
        reference=reference,
        customer=placing.NewCustomer(reference=customer) if customer else None,
        lines=both(products),
    )


def frozen(orders: list[Order], action: BatchAction) -> Batch:
    selection = batches.Selection(orders=Order.objects.filter(pk__in=[one.pk for one in orders]), asked={})
    return batches.create(selection, action, actor=TEST_ACTOR, reason="A test")


def make_world() -> World:
    world = World()
    first, second = world.products = [make_product(unit_price="10.00"), make_product(unit_price="10.00")]
    # Two orders that ended and still hold pieces: the one with the smaller id holds the product with the larger one.
    world.ended = sorted((make_reserved_order(product=first) for _ in range(2)), key=lambda one: one.pk)
    Reservation.objects.filter(order=world.ended[0]).update(product=second)
    StockItem.objects.filter(product__in=world.products).update(reserved=2)
    ended = Order.objects.filter(pk__in=[one.pk for one in world.ended])
    ended.update(status=OrderStatus.CANCELLED, closed_at=timezone.now())
    # Their ids and the order in which they were placed differ.
    world.placed = [placing.place(new(world.products), actor=TEST_ACTOR) for _ in range(8)]
    stamps = sorted((one.created_at for one in world.placed), reverse=True)
    for one, stamp in zip(sorted(world.placed, key=lambda one: one.pk), stamps, strict=True):
        Order.objects.filter(pk=one.pk).update(created_at=stamp)
    world.reserving = driving.adopt(placing.place(new(world.products), actor=TEST_ACTOR))
    process.validate(str(world.reserving.pk), actor=TEST_ACTOR)
    world.reserved = driving.adopt(placing.place(new(world.products), actor=TEST_ACTOR))
    process.validate(str(world.reserved.pk), actor=TEST_ACTOR)
    stock.reserve(str(world.reserved.pk), actor=TEST_ACTOR)
    buyers = [placing.place(new(world.products, customer="C-LOCKS"), actor=TEST_ACTOR) for _ in range(3)]
    world.done = [driving.drive(one) for one in buyers]
    world.failing = driving.drive(make_order(product=first), gateway=driving.outage())
    world.in_review = driving.make_order_in_review()
    world.case = returning.announce(
        world.done[0].number,
        lines=[returning.Announced(position=1, quantity=1), returning.Announced(position=2, quantity=1)],
        actor=TEST_ACTOR,
        reason="Broken",
    )
    world.price = catalogue.change_product(
        second.sku, name="Lantern", unit_price=Decimal(100), actor=chief("chief"), reason="Season"
    )
    world.owed = driving.drive(make_order(product=make_product(unit_price="600.00"), quantity=1))
    world.refund = refunding.request(world.owed.number, amount_minor=60_000, actor=chief("chief"), reason="Broken")
    version = publishing.save("locks", playbooks.document(playbooks.note("a")), actor=chief("chief"))
    world.publication = publishing.publish("locks", version.number, actor=chief("chief"), reason="A test")
    world.run = playbooks.start(world.reserved, playbooks.note("a"))
    world.holds = frozen(world.placed[:4], BatchAction.HOLD)
    world.starts = frozen(world.placed[4:], BatchAction.START)
    world.failed = frozen([world.failing], BatchAction.HOLD)
    BatchItem.objects.filter(batch=world.failed).update(
        status=ItemStatus.FAILED, finished_at=timezone.now(), error_type="unexpected"
    )
    Batch.objects.filter(pk=world.failed.pk).update(status="completed", finished_at=timezone.now())
    late = timezone.now() - timedelta(hours=3)
    for order in (world.failing, world.reserved):
        Order.objects.filter(pk=order.pk).update(status_since=late)
    OutboxMessage.objects.update(delivered_at=late)
    deadlines.sweep(actor=TEST_ACTOR)
    world.task = StaffTask.objects.filter(order=world.failing).get()
    return world


def give_back(world: World) -> None:
    pace: Any = SimpleNamespace(actor=TEST_ACTOR, run=SimpleNamespace(pk="run"))
    releasing._release(pace, [one.pk for one in world.ended])


def receive(world: World) -> None:
    lines = [returning.Received(position=position, received=1) for position in (1, 2)]
    returning.receive(ReturnCase.objects.get(pk=world.case.pk).pk, lines=lines, actor=TEST_ACTOR, reason="It came")


def import_orders(world: World) -> None:
    orders = [new(world.products[::-1], reference=f"L-{n}", customer="C-LOCKS") for n in range(2)]
    placing_many.place_all(orders, actor=TEST_ACTOR, reason="A test", start=True)


def found_gone(world: World) -> None:
    processes.settle([processes.Seen(order_id=str(world.reserved.pk), state=RunState.BROKEN)], actor=TEST_ACTOR)


def begin_undo(world: World) -> None:
    process.begin_undo(str(world.reserved.pk), failure_type=FailureType.CANCELLED, message="x", actor=TEST_ACTOR)


def sample(world: World) -> None:
    quality.store(timezone.now().date(), shipped=3, positions=(0, 1, 2), actor=TEST_ACTOR)


def another_price(world: World) -> None:
    catalogue.change_product(
        world.products[1].sku, name="Lantern", unit_price=Decimal(200), actor=chief("third"), reason="Season"
    )


SERVICES: dict[str, Callable[[World], object]] = {
    "ask for a price": another_price,
    "approve a price": lambda w: deciding.approve(w.price.pk, actor=chief("second")),
    "ask for a refund": lambda w: refunding.request(
        w.owed.number, amount_minor=60_000, actor=chief("third"), reason="Broken"
    ),
    "approve a refund": lambda w: deciding.approve(w.refund.pk, actor=chief("second")),
    "decline a refund": lambda w: deciding.decline(w.refund.pk, actor=chief("second"), reason="No"),
    "publish a playbook": lambda w: publishing.publish("locks", 1, actor=chief("third"), reason="A test"),
    "set a trigger": lambda w: setting.set_trigger("locks", "order.held", actor=chief("third")),
    "change the fraud rules": lambda w: fraud_rules.change(
        dict.fromkeys(fraud_rules.FIELDS, 1) | {"default_verdict": "rejected"}, actor=chief("third"), reason="x"
    ),
    "approve a publication": lambda w: deciding.approve(w.publication.pk, actor=chief("second")),
    "freeze a batch": lambda w: frozen([*w.placed, w.reserved, w.failing], BatchAction.RECHECK),
    "a chunk of a batch": lambda w: batches.run_chunk(w.holds.pk, where=Where()),
    "begin orders of a batch": lambda w: batches.begin_orders(w.starts.pk, where=Where()),
    "retry a batch": lambda w: batches.retry_failed(w.failed.pk, actor=TEST_ACTOR, reason="Again"),
    "pause a batch": lambda w: batches.pause(w.holds.pk, actor=TEST_ACTOR, reason="Stop"),
    "give stock back": give_back,
    "reserve stock": lambda w: stock.reserve(str(w.reserving.pk), actor=TEST_ACTOR),
    "release stock": lambda w: stock.release(str(w.reserved.pk), actor=TEST_ACTOR),
    "receive a return": receive,
    "begin an undo": begin_undo,
    "hold": lambda w: holding.hold(w.reserved.number, actor=TEST_ACTOR, reason="Wait"),
    "cancel": lambda w: cancelling.cancel(w.reserved.number, actor=TEST_ACTOR, reason="Recalled"),
    "cancel a placed one": lambda w: cancelling.cancel(w.placed[0].number, actor=TEST_ACTOR, reason="Recalled"),
    "start": lambda w: placing.start(w.placed[5].number, actor=TEST_ACTOR),
    "place": lambda w: placing.place(new(w.products, customer="C-LOCKS"), actor=TEST_ACTOR),
    "import": import_orders,
    "erase a customer": lambda w: erasing.erase_customer("C-LOCKS", actor=TEST_ACTOR, reason="Asked for"),
    "sample for quality": sample,
    "pause a step": lambda w: stepping.pause(w.failing.number, actor=TEST_ACTOR, reason="Wait"),
    "take a task": lambda w: tasks.acknowledge(w.task.pk, actor=chief("second")),
    "claim a review": lambda w: reviewing.claim(w.in_review.number, actor=chief("second")),
    "note what is overdue": lambda w: deadlines._note(w.failing.pk, actor=TEST_ACTOR),
    "undo what is gone": found_gone,
    "start a playbook": lambda w: running.start(w.failing.number, "test", actor=chief("third"), reason="A test"),
    "pause a playbook": lambda w: running.pause(w.run.pk, actor=chief("third"), reason="A test"),
}


class Gate:
    """Counts the statements that lock rows of one more table, and stops behind one of them until it may go on."""

    def __init__(self, stop_at: int = 0) -> None:
        self.stop_at = stop_at
        #: what each of these statements locked first
        self.tables: list[frozenset[str]] = []
        self.reached, self.go_on = Event(), Event()

    def __call__(self, execute: Any, sql: Any, parameters: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, parameters, many, context)
        text = str(sql)
        new = frozenset(TABLE.findall(text) if LOCKS.search(text) else ()) - WRITTEN_ONLY
        if new - frozenset().union(*self.tables):
            self.tables.append(new)
            if len(self.tables) == self.stop_at:
                self.reached.set()
                assert self.go_on.wait(PATIENCE)
        return answer


@dataclass
class Play:
    """One service on a connection of its own, rolled back at its end."""

    future: Future[None]
    #: of its connection to PostgreSQL
    pid: list[int]


def begin(pool: Connections, work: Callable[[World], object], world: World, gate: Gate | None = None) -> Play:
    pid: list[int] = []

    def played() -> None:
        with transaction.atomic(), connection.execute_wrapper(gate) if gate else nullcontext():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL deadlock_timeout = '20ms'")
                cursor.execute("SELECT pg_backend_pid()")
                pid.append(cursor.fetchone()[0])
            # Somebody was first; the locks until then are what counts.
            with suppress(DomainError):
                work(world)
            transaction.set_rollback(True)

    return Play(future=pool.begin(played), pid=pid)


def waits(play: Play) -> bool:
    if not play.pid:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s)) > 0", [play.pid[0]])
        return bool(cursor.fetchone()[0])


def until_it_waits(play: Play) -> None:
    """It has ended, or it waits for the other one."""
    while not wait([play.future], timeout=0.002).done and not waits(play):
        pass


def is_circle(play: Play) -> bool:
    try:
        play.future.result(PATIENCE)
    except OperationalError as error:
        if isinstance(error.__cause__, DeadlockDetected):
            return True
        raise
    return False


def tables_of(pool: Connections, name: str, world: World) -> list[frozenset[str]]:
    """Whose rows the service locks, in this order, when nobody is in its way."""
    gate = Gate()
    begin(pool, SERVICES[name], world, gate).future.result(PATIENCE)
    return gate.tables


def may_meet(first: list[frozenset[str]], stop_at: int, second: list[frozenset[str]]) -> bool:
    """Whether the second may wait for what the first locked last, or the first for more of the same."""
    theirs = frozenset().union(*second)
    return bool(first[stop_at - 1] & theirs)


def circle(pool: Connections, world: World, first: str, second: str, stop_at: int) -> bool:
    gate = Gate(stop_at)
    one = begin(pool, SERVICES[first], world, gate)
    assert gate.reached.wait(PATIENCE)
    other = begin(pool, SERVICES[second], world)
    until_it_waits(other)
    gate.go_on.set()
    return any([is_circle(one), is_circle(other)])


@pytest.mark.django_db(transaction=True)
def test_no_two_services_wait_for_each_other() -> None:
    world = make_world()
    with connections(2) as pool:
        locks = {name: tables_of(pool, name, world) for name in SERVICES}
        plays = [
            (first, second, stop_at)
            # Also with itself. Of a circle it is enough to stop one.
            for first, second in combinations_with_replacement(SERVICES, 2)
            for stop_at in range(1, len(locks[first]) + 1)
            if may_meet(locks[first], stop_at, locks[second])
        ]
        found = [play for play in plays if circle(pool, world, *play)]
    assert all(locks.values()), f"These lock nothing and prove nothing: {[one for one in locks if not locks[one]]}"
    assert found == [], "The first, stopped behind its nth lock, and the second wait for each other."


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_frozen_while_a_chunk_of_another_one_holds_its_orders() -> None:
    orders = [make_order() for _ in range(3)]
    with connections(1) as pool, transaction.atomic():
        history.lock_orders(one.pk for one in orders)
        # In one statement, order by order as they were placed: a chunk that it waited for would soon wait for it.
        batch = pool.begin(frozen, orders, BatchAction.HOLD).result(PATIENCE)
    assert batch.item_count == 3
