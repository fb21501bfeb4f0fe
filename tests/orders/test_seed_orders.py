"""Orders made in bulk are orders like any other: they add up, their chains hold, and they can be processed."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from orders import history
from orders.models import Order
from orders.services import invariants
from tests.orders import driving

pytestmark = pytest.mark.django_db


def test_bulk_orders_hold_every_invariant_and_go_the_whole_way() -> None:
    out = StringIO()
    call_command("seed_orders", "--count", "30", "--json", stdout=out)
    assert json.loads(out.getvalue())["orders"] == 30
    orders = list(Order.objects.all())
    assert len({order.number for order in orders}) == 30
    assert all(history.verify_chain(order, order.events.all()) is None for order in orders)
    lantern = next(order for order in orders if order.lines.get().product.sku == "DEMO-MUG")
    assert driving.drive(lantern).status == "completed"
    assert list(invariants.check_database()) == []


def test_two_calls_make_other_orders() -> None:
    for _ in range(2):
        call_command("seed_orders", "--count", "3", stdout=StringIO())
    assert Order.objects.count() == 6


@pytest.mark.parametrize("count", ["0", "-1", "1000001"])
def test_a_count_out_of_range_names_the_limit(count: str) -> None:
    with pytest.raises(CommandError, match="is not within 1 to 1000000"):
        call_command("seed_orders", f"--count={count}", stdout=StringIO())
    assert not Order.objects.exists()
