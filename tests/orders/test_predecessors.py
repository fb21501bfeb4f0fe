"""Each effect asks the database for what must have come before it, whoever asks for the effect."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from orders import fence
from orders.errors import DomainError, OutOfStock, ReviewRejected, StepMissing, StepVoided
from orders.models import LedgerTransfer, Order, Payment, ReviewCase, Shipment, Step
from orders.services import cancelling, fraud, payments, process, reviewing, shipping, stock
from orders.vocabulary import EventType, FailureType, OrderStatus, ReviewStatus, StepName, StepStatus
from tests.factories import (
    TEST_ACTOR,
    begin_undo,
    make_order,
    make_prepared_order,
    make_product,
    make_reserved_order,
)
from tests.orders import driving
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db

ACTS: dict[StepName, Callable[[str], Any]] = {
    StepName.FRAUD: lambda order: fraud.check(order, actor=TEST_ACTOR),
    StepName.CHARGE: lambda order: payments.charge(order, actor=TEST_ACTOR),
    StepName.SHIP: lambda order: shipping.ship(order, actor=TEST_ACTOR),
    StepName.COMPLETE: lambda order: process.complete(order, actor=TEST_ACTOR),
    StepName.RECALL: lambda order: shipping.undo_ship(order, actor=TEST_ACTOR),
    StepName.REFUND: lambda order: payments.undo_charge(order, actor=TEST_ACTOR),
    StepName.RELEASE: lambda order: stock.release(order, actor=TEST_ACTOR),
    StepName.CLOSE: lambda order: process.close(order, actor=TEST_ACTOR),
}
FORWARD = (StepName.FRAUD, StepName.CHARGE, StepName.SHIP, StepName.COMPLETE)
BACK = (StepName.RECALL, StepName.REFUND, StepName.RELEASE, StepName.CLOSE)
#: where an order stands -> the steps that are due there
DUE: dict[str, set[StepName]] = {
    "queued": set(),
    "checking": {StepName.FRAUD},
    "in review": set(),
    "charging": {StepName.CHARGE},
    "shipping": {StepName.SHIP},
    "shipped": {StepName.COMPLETE},
}


def make(where: str, partners: Http) -> Order:
    if where == "queued":
        return make_order(started=True)
    if where == "checking":
        return make_reserved_order()
    if where == "in review":
        order = make_reserved_order(product=make_product(unit_price="6000.00"), quantity=1)
        assert fraud.check(str(order.pk), actor=TEST_ACTOR)
        return order
    order = make_prepared_order()
    if where in {"shipping", "shipped"}:
        ACTS[StepName.CHARGE](str(order.pk))
    if where == "shipped":
        ACTS[StepName.SHIP](str(order.pk))
    return order


def world(order: Order, partners: Http) -> tuple[object, ...]:
    """Money, goods and status: what a step that is not due may not change."""
    return (
        Order.objects.values_list("status", flat=True).get(pk=order.pk),
        list(LedgerTransfer.objects.filter(order=order).values_list("key", flat=True)),
        list(Shipment.objects.filter(order=order).values_list("status", flat=True)),
        list(order.reservations.values_list("status", "quantity")),
        list(Payment.objects.filter(order=order).values_list("status", "captured_minor", "refunded_minor")),
        partners.books(str(order.pk)),
    )


@pytest.mark.parametrize("step", [*FORWARD, *BACK])
@pytest.mark.parametrize("where", DUE)
def test_a_step_that_is_not_due_changes_nothing(partners: Http, where: str, step: StepName) -> None:
    order = make(where, partners)
    before = world(order, partners)

    if step in DUE[where]:
        ACTS[step](str(order.pk))
        assert world(order, partners) != before
        return
    if Step.objects.filter(order=order, name=step, status=StepStatus.DONE).exists():
        ACTS[step](str(order.pk))
    else:
        with pytest.raises((StepMissing, ReviewRejected)):
            ACTS[step](str(order.pk))
    assert world(order, partners) == before


@pytest.mark.parametrize("step", BACK)
def test_a_completed_order_is_undone_by_nobody(partners: Http, step: StepName) -> None:
    order = driving.drive(make_order())
    before = world(order, partners)

    with pytest.raises(StepMissing):
        ACTS[step](str(order.pk))

    assert world(order, partners) == before


@pytest.mark.parametrize("step", FORWARD)
def test_an_order_that_is_being_undone_is_driven_on_by_nobody(partners: Http, step: StepName) -> None:
    order = make({"fraud": "checking", "charge": "charging", "ship": "shipping", "complete": "shipped"}[step], partners)
    begin_undo(order)

    with pytest.raises(StepVoided):
        ACTS[step](str(order.pk))


@pytest.mark.parametrize("before", [StepName.VALIDATE, StepName.RESERVE, StepName.CHARGE])
def test_goods_leave_only_after_every_step_before_by_the_database(partners: Http, before: StepName) -> None:
    order = make("shipping", partners)
    Step.objects.filter(order=order, name=before).update(status=StepStatus.OPEN)

    with pytest.raises(StepMissing):
        ACTS[StepName.SHIP](str(order.pk))

    assert partners.books(str(order.pk))["shipments_booked"] == 0


@pytest.mark.parametrize("verdict", [ReviewStatus.OPEN, ReviewStatus.REJECTED, ReviewStatus.CLOSED])
@pytest.mark.parametrize("step", [StepName.SHIP, StepName.COMPLETE])
def test_goods_do_not_leave_without_the_verdict_however_the_charge_came_about(
    partners: Http, verdict: ReviewStatus, step: StepName
) -> None:
    order = make("in review", partners)
    reviewing.approve(order.number, actor=TEST_ACTOR, reason="Known customer")
    reviewing.settle(str(order.pk), actor=TEST_ACTOR)
    ACTS[StepName.CHARGE](str(order.pk))
    if step is StepName.COMPLETE:
        ACTS[StepName.SHIP](str(order.pk))
    ReviewCase.objects.filter(order=order).update(status=verdict)

    with pytest.raises(StepMissing, match="Nobody approved"):
        ACTS[step](str(order.pk))


@pytest.mark.parametrize("left", [StepName.RECALL, StepName.REFUND, StepName.RELEASE])
def test_an_order_closes_only_when_the_undo_of_each_begun_step_is_done(partners: Http, left: StepName) -> None:
    order = make("shipped", partners)
    begin_undo(order)
    for step in BACK[:-1]:
        if step is not left:
            ACTS[step](str(order.pk))

    with pytest.raises(StepMissing):
        ACTS[StepName.CLOSE](str(order.pk))
    ACTS[left](str(order.pk))
    ACTS[StepName.CLOSE](str(order.pk))

    assert Order.objects.get(pk=order.pk).status == OrderStatus.CANCELLED


# --- What an undo may rest on -----------------------------------------------------------------------------------------
def asked_to_undo(order: Order, failure: FailureType) -> bool:
    return process.begin_proven_undo(str(order.pk), failure_type=failure, message="no", actor=TEST_ACTOR)


@pytest.mark.parametrize("failure", list(FailureType))
def test_the_engines_word_alone_begins_no_undo(partners: Http, failure: FailureType) -> None:
    order = make("shipping", partners)
    before = world(order, partners)

    with pytest.raises(StepMissing):
        asked_to_undo(order, failure)

    assert world(order, partners) == before
    assert not Step.objects.filter(order=order, name=StepName.COMPLETE).exists()


def test_a_cancellation_of_ours_is_a_reason(partners: Http) -> None:
    order = make("shipping", partners)
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="She called")

    assert asked_to_undo(order, FailureType.CANCELLED)


def test_a_final_no_that_a_step_ended_with_is_a_reason_and_another_one_is_not(partners: Http) -> None:
    order = make_order(started=True, product=make_product(stock=1), quantity=2)
    process.adopt(str(order.pk), run_id="run")
    process.validate(str(order.pk), actor=TEST_ACTOR)
    with pytest.raises(OutOfStock) as refusal:
        stock.reserve(str(order.pk), actor=TEST_ACTOR)
    process.note_refusal(str(order.pk), (StepName.VALIDATE, StepName.RESERVE), refusal.value)

    with pytest.raises(StepMissing):
        asked_to_undo(order, FailureType.CARRIER_REJECTED)
    assert asked_to_undo(order, FailureType.OUT_OF_STOCK)


def test_a_step_that_was_done_after_all_is_no_reason_any_more(partners: Http) -> None:
    order = make("charging", partners)
    fence.claim(str(order.pk), StepName.CHARGE)
    fence.note_refusal(str(order.pk), (StepName.CHARGE,), FailureType.CARRIER_REJECTED)
    ACTS[StepName.CHARGE](str(order.pk))

    with pytest.raises(StepMissing):
        asked_to_undo(order, FailureType.CARRIER_REJECTED)


@pytest.mark.parametrize("failure", [FailureType.OUTCOME_UNKNOWN, FailureType.PARTNER_UNAVAILABLE])
def test_a_step_that_is_out_of_its_time_is_a_reason(partners: Http, failure: FailureType) -> None:
    order = make("charging", partners)
    fence.claim(str(order.pk), StepName.CHARGE)
    with pytest.raises(StepMissing):
        asked_to_undo(order, failure)

    Step.objects.filter(order=order, name=StepName.CHARGE).update(
        begun_at=timezone.now() - timezone.timedelta(hours=20)
    )

    assert asked_to_undo(order, failure)


@pytest.mark.parametrize("failure", [FailureType.PARTNER_UNAVAILABLE, FailureType.ON_HOLD, FailureType.STEP_MISSING])
def test_what_passes_is_no_final_no(partners: Http, failure: FailureType) -> None:
    order = make("charging", partners)
    fence.claim(str(order.pk), StepName.CHARGE)
    error = DomainError("no")
    error.failure_type = failure

    process.note_refusal(str(order.pk), (StepName.CHARGE,), error)

    assert Step.objects.get(order=order, name=StepName.CHARGE).refusal == ""


def test_the_order_tells_a_few_times_what_was_reported_and_is_not_true(partners: Http) -> None:
    order = make("charging", partners)

    for _ in range(20):
        process.note_missing(str(order.pk), StepMissing("No."), EventType.STEP_UNPROVEN, actor=TEST_ACTOR)

    assert order.events.filter(type=EventType.STEP_UNPROVEN).count() == process.MOST_UNPROVEN_TOLD
