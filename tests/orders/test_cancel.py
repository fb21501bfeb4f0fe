"""Cancelling: the plan says what will be undone, an accepted cancellation always wins, and it is told once."""

import pytest

from orders.actor import person
from orders.errors import CancelAsked, NotPermitted, WrongState
from orders.models import Command, Order, OutboxMessage
from orders.services import cancelling, holding, payments, process
from orders.vocabulary import Channel, CommandKind, CommandStatus, FailureType, OrderStatus, StepName, Topic
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import driving
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db


def cancel(order: Order) -> Command:
    return cancelling.cancel(order.number, actor=TEST_ACTOR, reason="The customer changed her mind")


def ready_to_complete() -> Order:
    order = make_prepared_order(quantity=2)
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)
        driving.shipping.ship(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    return order


@pytest.mark.parametrize("held", [False, True])
def test_an_order_nobody_started_is_cancelled_at_once(held: bool) -> None:
    order = make_order()
    if held:
        holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    cancel(order)
    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.CANCELLED)
    assert order.failure_message == "Cancelled by test: The customer changed her mind"
    assert not order.commands.filter(status=CommandStatus.ACCEPTED).exists()
    assert not OutboxMessage.objects.exists()


def test_a_started_order_is_cancelled_by_its_process() -> None:
    order = make_prepared_order()
    cancel(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.CHARGING
    assert OutboxMessage.objects.order_by("id").last().topic == Topic.CANCEL_ORDER  # type: ignore[union-attr]


def test_no_money_moves_after_a_cancellation_was_accepted() -> None:
    order = make_prepared_order()
    cancel(order)
    with pytest.raises(CancelAsked):
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    assert not hasattr(order, "payment")


def test_an_order_never_completes_after_its_cancellation_was_accepted() -> None:
    order = ready_to_complete()
    cancel(order)
    with pytest.raises(CancelAsked):
        process.complete(str(order.pk), actor=TEST_ACTOR)
    order.refresh_from_db()
    assert order.status == OrderStatus.SHIPPING


def test_the_closed_order_says_who_cancelled_it_and_why_and_the_command_what_became_of_it() -> None:
    order = make_prepared_order()
    command = cancel(order)
    driving.undo(order, FailureType.CANCELLED, "The order was cancelled")
    command.refresh_from_db()
    assert (order.status, order.failure_message) == (
        OrderStatus.CANCELLED,
        "Cancelled by test: The customer changed her mind",
    )
    assert (command.status, command.outcome) == (CommandStatus.DONE, "The order ended as cancelled.")


def test_a_completed_order_is_refused_with_what_to_do_instead() -> None:
    order = driving.drive(make_order())
    with pytest.raises(WrongState, match="refund or return it"):
        cancel(order)
    assert not order.commands.filter(kind=CommandKind.CANCEL).exists()


def test_the_second_person_is_told_who_was_first() -> None:
    order = make_prepared_order()
    cancel(order)
    with pytest.raises(WrongState, match="is being cancelled already, by test at "):
        cancel(order)
    assert order.commands.filter(kind=CommandKind.CANCEL).count() == 1


def test_nobody_cancels_without_the_permission() -> None:
    order = make_prepared_order()
    with pytest.raises(NotPermitted):
        cancelling.cancel(order.number, actor=person(make_user("orders.view_order"), Channel.API), reason="No")
    assert not order.commands.filter(kind=CommandKind.CANCEL).exists()


def test_the_plan_lists_what_is_undone_in_the_order_of_the_undo() -> None:
    plan = cancelling.plan(ready_to_complete())
    assert [line.step for line in plan.undo] == [StepName.RECALL, StepName.REFUND, StepName.RELEASE]
    assert "20.00" in plan.undo[1].says
    assert "2 pieces" in plan.undo[2].says
    assert plan.stays == ()


def test_the_plan_of_an_order_that_has_only_its_stock_gives_back_the_stock() -> None:
    assert [line.step for line in cancelling.plan(make_prepared_order()).undo] == [StepName.RELEASE]


def test_the_plan_of_an_order_nobody_started_is_empty() -> None:
    assert cancelling.plan(make_order()).undo == ()


def test_the_plan_says_when_a_step_is_failing_and_its_outcome_not_known() -> None:
    order = make_prepared_order()
    with driving.partners(gateway=driving.outage()), pytest.raises(Exception, match="503"):
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    plan = cancelling.plan(order)
    assert [line.step for line in plan.undo] == [StepName.REFUND, StepName.RELEASE]
    assert "charge may still have its effect" in plan.stays[0]
