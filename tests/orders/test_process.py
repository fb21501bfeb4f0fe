"""From the first step to the last, and back from any of them: the services in the order a workflow calls them."""

from collections.abc import Callable

import pgtrigger
import pytest

from orders.errors import InvalidInput, NotTheProcess, PaymentDeclined, StepMissing, StepVoided, WrongState
from orders.models import LedgerTransfer, Order, OrderLine
from orders.services import invariants, payments, process, shipping, stock
from orders.vocabulary import CommandStatus, EventType, FailureType, LedgerAccount, OrderStatus
from tests.factories import TEST_ACTOR, make_order
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db


def adopt(order: Order) -> None:
    process.adopt(str(order.id), run_id=f"run-{order.id}")


FORWARD: dict[str, Callable[[Order], None]] = {
    "adopt": adopt,
    "validate": lambda order: process.validate(str(order.id), actor=TEST_ACTOR),
    "reserve": lambda order: stock.reserve(str(order.id), actor=TEST_ACTOR, then=OrderStatus.CHARGING),
    "charge": lambda order: payments.charge(str(order.id), actor=TEST_ACTOR),
    "ship": lambda order: shipping.ship(str(order.id), actor=TEST_ACTOR),
    "complete": lambda order: process.complete(str(order.id), actor=TEST_ACTOR),
}
UNDO: dict[str, Callable[[Order], None]] = {
    "ship": lambda order: shipping.undo_ship(str(order.id), actor=TEST_ACTOR),
    "charge": lambda order: payments.undo_charge(str(order.id), actor=TEST_ACTOR),
    "reserve": lambda order: stock.release(str(order.id), actor=TEST_ACTOR),
}


def go(order: Order, *, until: str = "complete") -> None:
    """Every step up to and including `until`; none for an empty word."""
    for name, act in FORWARD.items() if until else ():
        act(order)
        if name == until:
            return


def begin_undo(order: Order, failure_type: FailureType = FailureType.CANCELLED) -> bool:
    return process.begin_undo(
        str(order.id), failure_type=failure_type, message="A customer changed her mind", actor=TEST_ACTOR
    )


def close(order: Order) -> OrderStatus:
    return process.close(str(order.id), actor=TEST_ACTOR)


def unwind(order: Order, failure_type: FailureType = FailureType.CANCELLED) -> OrderStatus:
    assert begin_undo(order, failure_type)
    for act in UNDO.values():
        act(order)
    return close(order)


def assert_sound() -> None:
    assert [*invariants.check_database(), *invariants.check_books()] == []


def types(order: Order) -> list[str]:
    return list(order.events.values_list("type", flat=True))


@pytest.fixture
def order(partners: Http) -> Order:
    return make_order(started=True)


# --- To the end -------------------------------------------------------------------------------------------------------


def test_order_that_goes_all_the_way_is_paid_shipped_earned_and_closed(order: Order) -> None:
    go(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.COMPLETED
    assert order.closed_at is not None
    assert invariants.ledger_balances()[str(order.id)] == {
        LedgerAccount.GATEWAY: order.total_minor,
        LedgerAccount.CUSTOMER: 0,
        LedgerAccount.SALES: -order.total_minor,
        LedgerAccount.BY_HAND: 0,
        LedgerAccount.DISPUTED: 0,
    }
    assert types(order) == [
        EventType.PLACED,
        EventType.START_REQUESTED,
        EventType.VALIDATED,
        EventType.STOCK_RESERVED,
        EventType.PAYMENT_CAPTURED,
        EventType.SHIPPED,
        EventType.COMPLETED,
    ]
    assert_sound()


def test_every_step_may_run_twice_without_a_second_effect(order: Order) -> None:
    for act in FORWARD.values():
        act(order)
        act(order)
    for act in FORWARD.values():
        act(order)

    assert len(types(order)) == 7
    assert_sound()


def test_end_of_the_order_finishes_the_command_that_asked_for_it(order: Order) -> None:
    go(order)

    command = order.commands.get()
    assert (command.status, command.outcome) == (CommandStatus.DONE, "The order was completed.")
    assert command.finished_at is not None


def test_sale_is_earned_once(order: Order) -> None:
    go(order)
    FORWARD["complete"](order)

    assert LedgerTransfer.objects.filter(order=order, credit_account=LedgerAccount.SALES).count() == 1


# --- Adopt and validate -----------------------------------------------------------------------------------------------


def test_run_that_adopted_the_order_may_come_again_and_no_other_may(order: Order) -> None:
    adopt(order)
    adopt(order)

    with pytest.raises(NotTheProcess):
        process.adopt(str(order.id), run_id="another run")

    order.refresh_from_db()
    assert order.process_run_id == f"run-{order.id}"


def test_order_that_is_unknown_is_adopted_by_nobody(db: None) -> None:
    with pytest.raises(NotTheProcess):
        process.adopt("00000000-0000-4000-8000-000000000000", run_id="a run")


def test_order_whose_lines_do_not_add_up_is_refused_and_charges_nobody(order: Order, partners: Http) -> None:
    with pgtrigger.ignore("orders.OrderLine:price_stands"):
        OrderLine.objects.filter(order=order).update(total_minor=1)

    with pytest.raises(InvalidInput, match="The lines add up to 1, the order says 2000") as refusal:
        go(order)

    assert refusal.value.field == "total_minor"
    order.refresh_from_db()
    assert order.status == OrderStatus.QUEUED
    assert partners.operations(str(order.id)) == []


def test_order_that_nobody_started_cannot_be_processed(db: None) -> None:
    order = make_order()

    with pytest.raises(WrongState):
        FORWARD["validate"](order)


# --- And back ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reached", ["", "adopt", "validate", "reserve", "charge", "ship"])
def test_order_cancelled_after_any_step_ends_with_no_money_no_parcel_and_all_its_stock(
    order: Order, partners: Http, reached: str
) -> None:
    go(order, until=reached)

    assert unwind(order) is OrderStatus.CANCELLED

    books = partners.books(str(order.id))
    assert (books["net_minor"], books["shipments_booked"]) == (0, 0)
    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.CANCELLED)
    assert types(order)[-1] == EventType.CANCELLED
    assert_sound()


def test_cancelled_order_refunds_before_it_releases_its_stock(order: Order) -> None:
    go(order, until="ship")

    unwind(order)

    undone = [EventType.UNDO_BEGUN, EventType.SHIPMENT_UNDONE, EventType.PAYMENT_UNDONE, EventType.STOCK_RELEASED]
    assert types(order)[6:] == [*undone, EventType.CANCELLED]


@pytest.mark.parametrize("late", ["validate", "reserve", "charge", "ship", "complete"])
def test_step_that_comes_late_cannot_bring_a_cancelled_order_back(order: Order, late: str) -> None:
    go(order, until="adopt")
    unwind(order)

    with pytest.raises(StepVoided):
        FORWARD[late](order)

    assert_sound()


@pytest.mark.parametrize("reached", ["adopt", "validate", "reserve", "charge"])
def test_step_that_runs_between_the_beginning_of_the_undo_and_its_own_undo_is_undone(
    order: Order, reached: str
) -> None:
    """The undo has begun and has not reached the step yet: what is asked for now does not begin."""
    go(order, until=reached)
    step = list(FORWARD)[list(FORWARD).index(reached) + 1]
    assert begin_undo(order)

    with pytest.raises((StepVoided, WrongState)):
        FORWARD[step](order)
    for act in UNDO.values():
        act(order)

    assert close(order) is OrderStatus.CANCELLED
    assert_sound()


def test_completed_order_cannot_be_undone(order: Order) -> None:
    go(order)

    assert not begin_undo(order)

    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.COMPLETED, "")
    assert_sound()


def test_undo_closes_the_door_to_completion(order: Order) -> None:
    go(order, until="ship")
    assert begin_undo(order)

    with pytest.raises(StepVoided):
        FORWARD["complete"](order)

    assert not LedgerTransfer.objects.filter(order=order, credit_account=LedgerAccount.SALES).exists()


def test_undo_says_once_why_it_began(order: Order) -> None:
    go(order, until="reserve")

    assert begin_undo(order)
    assert begin_undo(order, FailureType.OUT_OF_STOCK)

    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.UNDOING, FailureType.CANCELLED)
    assert types(order).count(EventType.UNDO_BEGUN) == 1


def test_undo_without_a_message_still_has_a_reason(order: Order) -> None:
    assert process.begin_undo(str(order.id), failure_type=FailureType.OUTCOME_UNKNOWN, message="", actor=TEST_ACTOR)

    event = order.events.last()
    assert event is not None
    assert event.reason


def test_order_that_could_not_be_fulfilled_ends_as_failed_and_says_why(partners: Http) -> None:
    order = make_order(started=True, payment_method="pm_card_chargeDeclined")
    with pytest.raises(PaymentDeclined):
        go(order)

    assert unwind(order, FailureType.PAYMENT_DECLINED) is OrderStatus.FAILED

    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.FAILED, FailureType.PAYMENT_DECLINED)
    assert order.commands.get().outcome == "The order ended as failed."
    assert types(order)[-1] == EventType.FAILED
    assert_sound()


def test_closing_twice_answers_the_same_and_adds_nothing(order: Order) -> None:
    unwind(order)
    count = len(types(order))

    assert close(order) is OrderStatus.CANCELLED
    assert len(types(order)) == count


def test_undo_that_is_repeated_after_the_order_was_closed_ends_in_the_same_place(order: Order) -> None:
    """A workflow that is reset runs its undo again; it must not hear that the order was completed."""
    go(order, until="charge")
    unwind(order)
    count = len(types(order))

    assert unwind(order, FailureType.STEP_VOIDED) is OrderStatus.CANCELLED

    order.refresh_from_db()
    assert order.failure_type == FailureType.CANCELLED
    assert len(types(order)) == count
    assert_sound()


def test_order_cannot_be_closed_before_its_undo_began(order: Order) -> None:
    go(order, until="reserve")

    with pytest.raises(StepMissing):
        close(order)
