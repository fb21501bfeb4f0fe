"""A step whose request its partner refuses: parked with one task, excused, tried again seldom, closed by itself."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from unittest import mock

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from orders import fence
from orders.errors import PartnerUnavailable, RequestRefused, StepVoided
from orders.models import Finding, Order, OutboxMessage, PartnerHealth, Refund, StaffTask, Step
from orders.partners import breaker
from orders.selectors.why import Why, why
from orders.services import (
    cancelling,
    fraud,
    health,
    parking,
    payments,
    process,
    refunding,
    repaying,
    resolving,
    shipping,
    skipping,
    stepping,
    stock,
)
from orders.services.sweeping import deadlines
from orders.vocabulary import (
    EventType,
    FailureType,
    OrderStatus,
    PartnerCode,
    RefundStatus,
    StepName,
    StepStatus,
    TaskKind,
    TaskLevel,
    Topic,
)
from orders.wording import Tone
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_reserved_order
from tests.orders import driving
from tests.orders.answering import Answering, answering
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
SWEEPER = driving.system("sweeper")


@pytest.fixture
def refusing(settings: Settings) -> Iterator[Answering]:
    """Every partner says that our request is wrong."""
    with answering(settings) as server:
        server.status = 400
        yield server


def paid() -> Order:
    order = make_prepared_order()
    with driving.partners():
        payments.charge(str(order.pk), actor=TEST_ACTOR)
    return driving.refreshed(order)


def undoing(order: Order) -> Order:
    return driving.undo(order, FailureType.CANCELLED, "Wanted", to_the_end=False)


def refund_of(order: Order) -> str:
    if not order.refunds.exists():
        refunding.request(order.number, amount_minor=500, actor=TEST_ACTOR, reason="Broken")
    return str(order.refunds.get().pk)


#: step -> (an order that has come to it, the attempt)
STEPS: dict[str, tuple[Callable[[], Order], Callable[[Order], object]]] = {
    "fraud": (make_reserved_order, lambda order: fraud.check(str(order.pk), actor=TEST_ACTOR)),
    "charge": (make_prepared_order, lambda order: payments.charge(str(order.pk), actor=TEST_ACTOR)),
    "ship": (paid, lambda order: shipping.ship(str(order.pk), actor=TEST_ACTOR)),
    "recall": (lambda: undoing(paid()), lambda order: shipping.undo_ship(str(order.pk), actor=TEST_ACTOR)),
    "refund": (lambda: undoing(paid()), lambda order: payments.undo_charge(str(order.pk), actor=TEST_ACTOR)),
    "": (lambda: driving.drive(make_order()), lambda order: repaying.send(refund_of(order), actor=TEST_ACTOR)),
}


def park(step: str) -> tuple[Order, Callable[[], object], RequestRefused]:
    """An order whose step is parked, how to try it again, and the error of its last attempt."""
    make, attempt = STEPS[step]
    order = make()
    with pytest.raises(RequestRefused) as raised:
        attempt(order)
    return driving.refreshed(order), lambda: attempt(order), raised.value


def told_of(order: Order) -> Why:
    """As the order's page says it, with a worker that runs."""
    health.beat("worker", service="worker", reached_temporal=True, detail="")
    told = why(order.number, may=lambda _: True)
    assert told is not None
    return told


def tasks_of(order: Order) -> list[StaffTask]:
    return list(order.tasks.filter(kind=TaskKind.REQUEST_REFUSED))


def lines(order: Order, event: EventType = EventType.STEP_PARKED) -> int:
    return order.events.filter(type=event).count()


@pytest.mark.parametrize("step", STEPS)
def test_a_refused_step_is_parked_with_one_task_and_one_line_and_closes_it_when_it_is_done(
    refusing: Answering, settings: Settings, step: str
) -> None:
    settings.PARKED_STEP_SECONDS = 1234
    order, again, error = park(step)
    for _ in range(4):
        with pytest.raises(RequestRefused):
            again()

    (task,) = tasks_of(order)
    assert error.retry_after == timedelta(seconds=1234)
    assert (task.level, task.status) == (TaskLevel.LEAD, "open")
    assert "refuses our request: bad_field" in task.says or "refuses our request: No" in task.says
    assert task.says.startswith(f"{order.number}, ")
    assert "every 20 min" in task.says
    assert (lines(order), lines(order, EventType.STEP_RETRYING)) == (1, 0)
    assert order.events.get(type=EventType.STEP_PARKED).step == step

    with driving.partners(), mock.patch("orders.services.repaying.gateway.refunds_of", return_value=[]):
        again()
    (task,) = tasks_of(order)
    assert (task.status, task.resolution != "") == ("done", True)


def test_a_parked_order_keeps_nobody_waiting_and_its_partner_stays_in_order(
    refusing: Answering, settings: Settings
) -> None:
    settings.BREAKER_FAILURES = 1
    parked = [park("charge")[0] for _ in range(4)]
    healthy = [make_prepared_order() for _ in range(5)]
    with driving.partners():
        for order in healthy:
            payments.charge(str(order.pk), actor=TEST_ACTOR)
            assert driving.refreshed(order).status == OrderStatus.SHIPPING
    row = PartnerHealth.objects.get(pk=PartnerCode.PAYMENTS)
    assert (row.state, row.failures_in_a_row, row.failed_subjects) == ("closed", 0, [])
    assert breaker.parked(PartnerCode.PAYMENTS).count() == 0
    assert set(breaker.refused_requests(PartnerCode.PAYMENTS).values_list("order", flat=True)) == {
        order.pk for order in parked
    }


def test_what_the_partner_says_now_is_what_its_task_says(refusing: Answering) -> None:
    order, again, _ = park("charge")
    refusing.body = refusing.body.replace("bad_field", "amount_too_small")
    with pytest.raises(RequestRefused):
        again()
    (task,) = tasks_of(order)
    assert "amount_too_small" in task.says
    assert lines(order) == 1


def test_another_step_that_is_parked_has_a_task_of_its_own(refusing: Answering) -> None:
    order, _, _ = park("ship")
    undoing(order)
    with pytest.raises(RequestRefused):
        shipping.undo_ship(str(order.pk), actor=TEST_ACTOR)
    before, now = order.tasks.filter(kind=TaskKind.REQUEST_REFUSED).order_by("created_at")
    assert (before.status, now.status) == ("done", "open")
    assert "booking the shipment" in before.says
    assert "cancelling the shipment" in now.says
    assert lines(order) == 2


@pytest.mark.parametrize("end", ["voided", "done"])
def test_an_attempt_that_was_overtaken_opens_no_task_that_nobody_would_close(refusing: Answering, end: str) -> None:
    order = make_prepared_order()
    late = fence.claim(order.pk, StepName.CHARGE)
    if end == "done":
        with driving.partners():
            payments.charge(str(order.pk), actor=TEST_ACTOR)
    else:
        fence.void(order.pk, StepName.CHARGE)
    error = RequestRefused("No.")
    parking.park(late, error, actor=TEST_ACTOR)
    assert tasks_of(order) == []
    assert error.retry_after is not None


def test_a_refund_that_was_overtaken_opens_no_task_either(refusing: Answering) -> None:
    order = driving.drive(make_order())
    refund = Refund.objects.get(pk=refund_of(order))
    with driving.partners():
        repaying.send(str(refund.pk), actor=TEST_ACTOR)
    parking.park_refund(refund, RequestRefused("No."), actor=TEST_ACTOR)
    assert tasks_of(order) == []


@pytest.mark.parametrize("status", [RefundStatus.SENT, RefundStatus.PENDING])
def test_a_refund_that_is_asked_about_is_parked_with_a_task_wherever_it_stands(status: RefundStatus) -> None:
    order = driving.drive(make_order())
    Refund.objects.filter(pk=refund_of(order)).update(status=status, token=1)
    parking.park_refund(order.refunds.get(), RequestRefused("No."), actor=TEST_ACTOR)
    assert [task.status for task in tasks_of(order)] == ["open"]


def test_the_end_of_the_order_closes_the_task_of_a_step_that_needs_no_undo(refusing: Answering) -> None:
    order, again, _ = park("fraud")
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="Not wanted")
    actor, order_id = driving.engine(order), str(order.pk)
    process.begin_undo(order_id, failure_type=FailureType.CANCELLED, message="", actor=actor)
    with pytest.raises(StepVoided):
        again()
    stock.release(order_id, actor=actor)
    process.close(order_id, actor=actor)
    (task,) = tasks_of(order)
    assert task.status == "done"
    assert "ended as cancelled" in task.resolution


def test_a_shipment_that_was_booked_by_hand_closes_the_task(refusing: Answering) -> None:
    order, again, _ = park("ship")
    skipping.skip(order.number, actor=TEST_ACTOR, reason="Booked", carrier="Van", tracking_number="V1")
    with driving.partners():
        again()
    [task] = tasks_of(order)
    assert (task.status, task.resolution) == ("done", "The step was done without the partner.")


def test_a_person_has_the_parked_step_tried_again_at_once(refusing: Answering) -> None:
    order, _, _ = park("charge")
    stepping.retry(order.number, actor=TEST_ACTOR, reason="Mended")
    told = OutboxMessage.objects.get(topic=Topic.DRIVE_STEP)
    assert (told.aggregate, told.body["step"]) == (f"order:{order.pk}", "charge")


# --- A lead's word ----------------------------------------------------------------------------------------------------


def test_a_task_that_is_resolved_while_the_request_is_still_refused_comes_again(refusing: Answering) -> None:
    order, again, _ = park("charge")
    resolving.resolve(tasks_of(order)[0].pk, note="Mended", actor=TEST_ACTOR)
    assert Step.objects.get(order=order, name=StepName.CHARGE).status == StepStatus.OPEN
    with pytest.raises(RequestRefused):
        again()
    assert sorted(task.status for task in tasks_of(order)) == ["done", "open"]
    assert lines(order) == 2


def test_a_reference_ends_an_undo_that_was_settled_another_way_and_never_a_step(refusing: Answering) -> None:
    forward, _, _ = park("charge")
    resolving.resolve(tasks_of(forward)[0].pk, note="Ticket", reference="T-1", actor=TEST_ACTOR)
    assert Step.objects.get(order=forward, name=StepName.CHARGE).status == StepStatus.OPEN
    assert forward.payment.captured_minor == 0

    back, _, _ = park("refund")
    resolving.resolve(tasks_of(back)[0].pk, note="Paid back by bank", reference="B-1", actor=TEST_ACTOR)
    assert Step.objects.get(order=back, name=StepName.REFUND).status == StepStatus.DONE
    back.payment.refresh_from_db()
    assert back.payment.refunded_minor == back.total_minor


def test_a_reference_settles_a_refund_that_is_parked(refusing: Answering) -> None:
    order, _, _ = park("")
    resolving.resolve(tasks_of(order)[0].pk, note="Paid back by bank", reference="B-2", actor=TEST_ACTOR)
    assert order.refunds.get().status == RefundStatus.SETTLED


# --- Who is told ------------------------------------------------------------------------------------------------------


def test_the_sweep_excuses_a_parked_order_until_its_task_is_closed(refusing: Answering) -> None:
    order, _, _ = park("charge")
    Order.objects.filter(pk=order.pk).update(status_since=timezone.now() - timedelta(hours=30))
    assert deadlines.sweep(actor=SWEEPER) == 0
    assert not Finding.objects.exists()
    resolving.resolve(tasks_of(order)[0].pk, note="Mended", actor=TEST_ACTOR)
    assert deadlines.sweep(actor=SWEEPER) == 1


def test_the_order_says_that_it_is_parked_what_the_partner_said_and_what_to_do(refusing: Answering) -> None:
    order, _, _ = park("charge")
    told = told_of(order)
    assert told.standing.tone is Tone.TROUBLE
    assert told.standing.headline.endswith(": parked, the partner refuses our request.")
    assert "The payment gateway refuses our request: bad_field" in told.standing.why
    assert '"Retry now"' in told.standing.you_can
    assert "step-retry" in {act.command for act in told.acts}


def test_a_parked_step_whose_partner_is_then_silent_says_that_instead(refusing: Answering) -> None:
    order, again, _ = park("charge")
    refusing.status = 503
    with pytest.raises(PartnerUnavailable):
        again()
    told = told_of(order)
    assert "answered 503" in told.standing.why
    assert "parked" not in told.standing.headline


def test_a_parked_refund_is_said_on_its_completed_order(refusing: Answering) -> None:
    order, _, _ = park("")
    told = told_of(order)
    assert told.standing.headline.endswith("It is parked: the payment gateway refuses our request.")
    assert "bad_field" in told.standing.why


def test_the_partners_page_tells_refused_requests_apart_from_what_waits(refusing: Answering) -> None:
    park("charge")
    page = signed_in("orders.view_partnerhealth").get("/admin/orders/partnerhealth/").content.decode()
    assert "1 order, parked with a task" in page
    assert "0 orders" in page
