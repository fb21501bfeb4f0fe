"""A poisoned order is refused where it must be, others are not, and after the mending nothing is."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import psycopg
import pytest
from django.db import DatabaseError

from backoffice.chaos import poison
from backoffice.chaos.arena import Arena
from backoffice.chaos.plan import Mix, make
from backoffice.chaos.poisons import POISONS, sku
from backoffice.chaos.trouble_verdict import ENOUGH
from backoffice.chaos.watch import ONE, Watch
from orders.models import Order, Product
from orders.services import process, stock, system_events
from orders.vocabulary import OrderStatus, StepName
from simulator import fraud
from simulator.stripe_forms import MINIMUM_AMOUNTS
from simulator.wire import RefusedError, Request
from tests.chaos.database import address
from tests.factories import TEST_ACTOR, make_order


@dataclass
class Wiring:
    database_url: str


@dataclass
class FakeArena:
    wiring: Wiring


@pytest.fixture
def poisoned(transactional_db: None) -> Iterator[Arena]:
    arena = cast(Arena, FakeArena(wiring=Wiring(database_url=address())))
    poison.install(arena)
    yield arena
    poison.mend(arena)
    with psycopg.connect(address()) as connection:
        connection.execute("DROP FUNCTION chaos_refuse")


def order_of(name: str) -> Order:
    return make_order(product=Product.objects.get(sku=sku(name)), quantity=1, started=True)


def prepare(order: Order) -> None:
    process.adopt(str(order.pk), run_id=f"run-{order.pk}")
    process.validate(str(order.pk), actor=TEST_ACTOR)
    stock.reserve(str(order.pk), actor=TEST_ACTOR)


def test_the_database_refuses_the_step_until_it_is_mended_and_no_other_order(poisoned: Arena) -> None:
    order, healthy = order_of("reserve"), make_order(started=True)
    for _ in range(2):
        with pytest.raises(DatabaseError):
            prepare(order)
    prepare(healthy)
    prepare(order_of("complete"))
    poison.mend(poisoned)
    prepare(order)
    assert Order.objects.get(pk=order.pk).status == OrderStatus.CHECKING


def test_everything_that_the_database_is_taught_is_a_trigger_of_its_own(poisoned: Arena) -> None:
    with psycopg.connect(address()) as connection:
        found = connection.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'chaos_%'").fetchall()
    assert {row[0] for row in found} == {f"chaos_{name}" for name, one in POISONS.items() if one.by_database}


def test_a_poisoned_order_is_watched_from_its_first_try_until_somebody_hears_of_it(poisoned: Arena) -> None:
    order, watch = order_of("reserve"), Watch(arena=poisoned)
    poison.watched(watch, order.number, "reserve")
    [item] = watch.items
    assert (item.begun(), item.attended(), item.patience) == (False, "", ONE)
    with pytest.raises(DatabaseError):
        prepare(order)
    assert item.begun()
    assert item.attended() == ""
    system_events.remember("database", "DatabaseError", workflow_id=f"order:{order.pk}", order_id=str(order.pk))
    assert item.attended() == "system"


def test_what_comes_to_its_poison_after_the_mending_has_met_no_trouble(poisoned: Arena) -> None:
    order, watch = order_of("reserve"), Watch(arena=poisoned)
    poison.watched(watch, order.number, "reserve")
    poison.mend(poisoned)
    prepare(order)
    assert not watch.items[0].begun()


def test_what_the_partners_refuse_is_refused_by_their_own_rules(poisoned: Arena) -> None:
    assert order_of("amount").total_minor < MINIMUM_AMOUNTS["gbp"]
    body = {"order": "1", "amount_minor": 500, "currency": "GBP", "country": POISONS["country"].country}
    asked = Request(
        method="POST",
        path="/fraud/scores",
        segments=("fraud", "scores"),
        query={},
        headers={"content-type": "application/json"},
        body=json.dumps(body).encode(),
    )
    with pytest.raises(RefusedError) as refused:
        fraud.score(asked, seed="1", forced=False)
    assert '"field":"country"' in refused.value.response.text
    assert (POISONS["amount"].step, POISONS["country"].step) == (StepName.CHARGE, StepName.FRAUD)


def test_the_share_comes_in_the_second_half_and_each_kind_before_any_comes_twice() -> None:
    made = make(seed=3, orders=200, faults=10, mix=Mix(poison=0.1))
    assert made.poison_from == made.seconds / 2
    bad = [one for one in made.purchases if one.poison]
    assert len(bad) == 20
    assert all(one.at >= made.seconds / 2 and not one.is_plain for one in bad)
    names = [one.poison for one in bad]
    assert set(names) == set(POISONS)
    assert max(names.count(name) for name in POISONS) - min(names.count(name) for name in POISONS) <= 1


def test_plain_orders_are_compared_but_none_that_poison_could_hold_up_although_it_came_before() -> None:
    made = make(seed=3, orders=60, faults=10, mix=Mix(poison=0.1))
    by_key = {one.key: one for one in made.purchases}
    compared = made.compared()
    begins = made.poison_from or 0.0
    assert min(sum(compared.values()), sum(not among for among in compared.values())) >= ENOUGH
    for key, among in compared.items():
        assert by_key[key].is_plain
        assert by_key[key].at >= begins if among else by_key[key].at <= begins - 15
    assert make(seed=3, orders=60, faults=10, mix=Mix()).compared() == {}


def test_without_poison_nothing_about_the_orders_changes() -> None:
    plain, bad = (make(seed=3, orders=300, faults=20, mix=Mix(poison=share)) for share in (0.0, 0.1))
    assert plain.poison_from is None
    kept = [one.key for one in bad.purchases if not one.poison]
    assert [one for one in plain.purchases if one.key in kept] == [one for one in bad.purchases if not one.poison]
