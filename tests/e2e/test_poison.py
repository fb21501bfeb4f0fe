"""Orders of which a step in the database fails for good stand beside healthy ones and take nothing from them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from orders.models import Order, SystemEvent
from orders.vocabulary import OrderStatus
from tests.e2e.engine import Engine, eventually
from tests.e2e.test_order_flow import all_closed, sound, status_of
from tests.factories import make_order, make_product

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
POISONED = 120
#: how many pieces an order has that the database refuses
PIECES = 7
#: of the history of an order whose first step has failed all the while
MOST_EVENTS = 30


@contextmanager
def refused_validations() -> Iterator[None]:
    """A trigger that raises where the first step of such an order begins."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"""
            CREATE FUNCTION refuse_validation() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF EXISTS (SELECT FROM orders_orderline WHERE order_id = NEW.order_id AND quantity = {PIECES}) THEN
                    RAISE EXCEPTION 'poison';
                END IF;
                RETURN NEW;
            END $$;
            CREATE TRIGGER refuse_validation BEFORE INSERT ON orders_step
                FOR EACH ROW EXECUTE FUNCTION refuse_validation();
            """
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_validation CASCADE")


def test_a_hundred_and_twenty_orders_whose_first_step_fails_do_not_hold_up_a_healthy_one(
    running_engine: Engine,
) -> None:
    product = make_product(stock=10_000)
    with refused_validations():
        poisoned = [make_order(product=product, quantity=PIECES, started=True) for _ in range(POISONED)]
        failing = SystemEvent.objects.filter(error_type="database", activity="prepare_order", order__in=poisoned)
        eventually(lambda: failing.count() == POISONED, what="the failure of all")
        # More than there are slots of the worker: if they kept theirs, there would be none for this one.
        healthy = make_order(product=product, started=True)
        eventually(lambda: status_of(healthy) == OrderStatus.COMPLETED, what="the end of a healthy order")
        assert not Order.objects.filter(pk__in=[one.pk for one in poisoned]).exclude(status=OrderStatus.QUEUED).exists()
        lengths = asyncio.run(history_lengths(running_engine, poisoned))
        # One cause, told once of each order however often it was tried.
        assert {event.message for event in failing} == {failing[0].message}
        assert failing.count() == POISONED
    eventually(all_closed, what="the end of all orders after the mending")
    assert {status_of(order) for order in poisoned} == {OrderStatus.COMPLETED}
    assert max(lengths) <= MOST_EVENTS
    sound(running_engine)


async def history_lengths(engine: Engine, orders: list[Order]) -> list[int]:
    client = await engine.client()
    found = [await client.get_workflow_handle(f"order:{order.pk}").describe() for order in orders]
    return [one.history_length for one in found]
