"""Effects and their predecessors: a sound database gives no violation, each rule that is broken by hand is named."""

from collections.abc import Callable

import pytest
from django.utils import timezone

from orders.models import Order, Shipment
from orders.services import process, shipping
from orders.services.effects_invariants import check_effects
from orders.vocabulary import FailureType, StepName
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]


@pytest.fixture
def order() -> Order:
    """Completed by version 2 of the process, which checks for fraud."""
    return driving.drive(make_order())


def found() -> list[tuple[str, str, str]]:
    return [(one.invariant, one.subject, one.detail) for one in check_effects()]


def details() -> list[str]:
    return [detail for _, _, detail in found()]


def test_sound_orders_give_no_violation(order: Order) -> None:
    driving.drive(make_order(), gateway=driving.decline())
    driving.drive(make_order(), carrier=driving.refuse_address())
    driving.drive(make_order(), gateway=driving.outage())
    driving.undo(make_prepared_order(), FailureType.CANCELLED, "Cancelled")
    driving.undo(make_prepared_order(), FailureType.CANCELLED, "Cancelled", to_the_end=False)
    driving.make_order_in_review()
    make_order(started=True)
    assert found() == []


@pytest.mark.parametrize("status", ["open", "void", "missing"])
def test_a_parcel_of_an_order_that_was_not_charged_is_named(order: Order, tamper: Tamper, status: str) -> None:
    # Under way: of a completed order the missing charge would be named by itself.
    tamper("UPDATE orders_order SET status = 'shipping', closed_at = NULL")
    assert found() == []
    if status == "missing":
        tamper("DELETE FROM orders_step WHERE name = 'charge'")
    else:
        tamper("UPDATE orders_step SET status = %s WHERE name = 'charge'", status)
    parcel = f"parcel {order.pk}:ship was booked, and its order not charged"
    assert found() == [("effects", order.number, parcel)]


def test_a_parcel_that_a_person_booked_is_no_exception(tamper: Tamper) -> None:
    order = make_prepared_order()
    Shipment.objects.create(order=order, reference="by hand", by_hand=True)
    assert details() == ["parcel by hand was booked, and its order not charged"]


@pytest.mark.parametrize("status", ["open", "rejected", "closed"])
def test_a_parcel_of_an_order_that_nobody_approved_is_named(tamper: Tamper, status: str) -> None:
    order = driving.make_order_in_review()
    Shipment.objects.create(order=order, reference="early")
    tamper(
        "INSERT INTO orders_step (key, order_id, name, token, status, last_error, claimed_at) "
        "VALUES ('x', %s, 'charge', 1, 'done', '', now())",
        order.pk,
    )
    tamper("UPDATE orders_reviewcase SET status = 'approved', decided_at = now()")
    assert found() == []
    decided = None if status == "open" else timezone.now()
    tamper("UPDATE orders_reviewcase SET status = %s, decided_at = %s", status, decided)
    assert details() == [f"parcel early was booked, its review is {status}"]


@pytest.mark.parametrize("name", ["refund", "recall", "release"])
@pytest.mark.parametrize("status", ["shipping", "on_hold", "completed"])
def test_an_undo_of_an_order_that_is_not_being_undone_is_named(
    order: Order, tamper: Tamper, name: StepName, status: str
) -> None:
    tamper(
        "INSERT INTO orders_step (key, order_id, name, token, status, last_error, claimed_at) "
        "VALUES ('x', %s, %s, 1, 'open', '', now())",
        order.pk,
        name,
    )
    if status != "completed":
        resumes = "shipping" if status == "on_hold" else ""
        tamper("UPDATE orders_order SET status = %s, resume_status = %s, closed_at = NULL", status, resumes)
    # Begun is not done.
    assert found() == []
    tamper("UPDATE orders_step SET status = 'done' WHERE key = 'x'")
    assert found() == [("effects", order.number, f"step {name} is done, and the order is {status}")]
    tamper("UPDATE orders_order SET status = 'undoing', resume_status = '', closed_at = NULL")
    assert found() == []


@pytest.mark.parametrize("name", ["validate", "reserve", "fraud", "ship", "complete"])
@pytest.mark.parametrize("status", ["open", "void", "missing"])
def test_a_completed_order_whose_step_is_not_done_is_named(
    order: Order, tamper: Tamper, name: str, status: str
) -> None:
    if status == "missing":
        tamper("DELETE FROM orders_step WHERE name = %s", name)
    else:
        tamper("UPDATE orders_step SET status = %s WHERE name = %s", status, name)
    assert found() == [("effects", order.number, f"completed, and its step {name} is not done")]


def test_a_completed_order_that_was_not_charged_is_named(order: Order, tamper: Tamper) -> None:
    tamper("UPDATE orders_step SET status = 'open' WHERE name = 'charge'")
    assert "completed, and its step charge is not done" in details()


def test_an_order_of_version_1_of_its_process_needs_no_fraud_check(tamper: Tamper) -> None:
    order = driving.make_order_that_was_charged_without_a_check()
    with driving.partners():
        shipping.ship(str(order.pk), actor=TEST_ACTOR)
        process.complete(str(order.pk), actor=TEST_ACTOR)
    assert driving.refreshed(order).status == "completed"
    assert found() == []
    tamper("UPDATE orders_orderevent SET status_after = 'checking' WHERE type = 'order.stock_reserved'")
    assert found() == [("effects", order.number, "completed, and its step fraud is not done")]
