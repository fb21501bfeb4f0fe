"""A cancellation at every point of every step: money, stock and shipment end as its plan said, here and there.

The services run here as the engine runs them (`test_every_failpoint`), against partners that are a process of their
own; what the cancellation meets is chosen by the points of `orders/failpoints.py`.
"""

from dataclasses import dataclass

import pytest

from orders.actor import person
from orders.errors import CancelAsked, OnHold, PartnerUnavailable, WrongState
from orders.models import Order, OutboxMessage, StockItem
from orders.services import cancelling, fraud, holding, payments, process, reviewing, shipping
from orders.vocabulary import Channel, CommandStatus, FailureType, OrderStatus, ReviewStatus, StepName
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product, make_reserved_order
from tests.orders.conftest import Strike
from tests.orders.staff import make_user
from tests.orders.test_every_failpoint import FORWARD, UNDO, assert_sound, live, order_that_meets, run, undo
from tests.simulator.talk import Http

pytestmark = pytest.mark.django_db

NOTHING: tuple[str, ...] = ()
STOCK = ("2 pieces go back into the stock.",)
NOT_TAKEN = ("The payment of £20.00 is cancelled before it is taken.", *STOCK)
TAKEN = ("£20.00 are refunded to the payment method.", *STOCK)
#: the carrier's tracking number stands between
SHIPPED = ("The shipment is cancelled at the carrier.", *TAKEN)


@dataclass(frozen=True, kw_only=True)
class Case:
    step: StepName
    point: str
    #: what the plan says at that moment
    plan: tuple[str, ...]
    #: how often the gateway has taken and given back the money in the end
    taken: int = 0
    #: how many shipments the carrier has booked and cancelled in the end
    recalled: int = 0


def cases(step: StepName, points: str, plan: tuple[str, ...], *, taken: int = 0, recalled: int = 0) -> list[Case]:
    return [Case(step=step, point=point, plan=plan, taken=taken, recalled=recalled) for point in points.split()]


MATRIX = [
    *cases(StepName.VALIDATE, "claim commit committed", NOTHING),
    *cases(StepName.RESERVE, "claim commit", NOTHING),
    *cases(StepName.RESERVE, "committed", STOCK),
    *cases(StepName.FRAUD, "claim effect commit committed", STOCK),
    *cases(StepName.CHARGE, "claim", STOCK),
    # The step has asked whether it may go on; it ends, and is undone.
    *cases(StepName.CHARGE, "call effect commit", NOT_TAKEN, taken=1),
    *cases(StepName.CHARGE, "committed", TAKEN, taken=1),
    *cases(StepName.SHIP, "claim", TAKEN, taken=1),
    *cases(StepName.SHIP, "call effect commit", TAKEN, taken=1, recalled=1),
    *cases(StepName.SHIP, "committed", SHIPPED, taken=1, recalled=1),
    *cases(StepName.COMPLETE, "claim commit", SHIPPED, taken=1, recalled=1),
]


def cancel(order: Order) -> None:
    cancelling.cancel(order.number, actor=TEST_ACTOR, reason="The customer changed her mind")


def planned(order: Order) -> tuple[str, ...]:
    shipments = {shipment.tracking_number for shipment in order.shipments.all()}
    says = [line.says for line in cancelling.plan(Order.objects.get(pk=order.pk)).undo]
    for number in shipments:
        says = [line.replace(f" {number}", "") for line in says]
    return tuple(says)


def assert_undone(order: Order, partners: Http, *, taken: int = 0, recalled: int = 0) -> None:
    """Everything is back, here and there, and nothing was moved more than once."""
    order.refresh_from_db()
    assert (order.status, order.failure_type) == (OrderStatus.CANCELLED, FailureType.CANCELLED)
    assert order.failure_message == "Cancelled by test: The customer changed her mind"
    assert not order.commands.filter(status=CommandStatus.ACCEPTED).exists()
    books = partners.books(str(order.id))
    assert (books["captures"], books["refunds"], books["net_minor"]) == (taken, taken, 0)
    assert (books["shipments_booked"], books["open_authorized_minor"]) == (0, 0)
    assert partners.operations(str(order.id)).count("shipments.book") == recalled
    stock = StockItem.objects.get(product=order.lines.get().product)
    assert (stock.on_hand, stock.reserved, stock.shipped) == (stock.received, 0, 0)
    OutboxMessage.objects.all().delete()
    assert_sound()


@pytest.mark.parametrize("case", MATRIX, ids=lambda case: f"{case.step}.{case.point}")
def test_a_cancellation_there_undoes_what_its_plan_said_and_what_ended_meanwhile(
    case: Case, strike: Strike, partners: Http
) -> None:
    order = order_that_meets(case.step)
    said: list[tuple[str, ...]] = []

    def change_her_mind() -> None:
        said.append(planned(order))
        cancel(order)

    struck = strike(case.step, case.point, change_her_mind)
    live(order)
    assert (len(struck), said) == (1, [case.plan])
    assert_undone(order, partners, taken=case.taken, recalled=case.recalled)


@pytest.mark.parametrize("step", UNDO)
def test_during_the_undo_a_cancellation_is_refused_and_the_undo_ends_as_it_began(
    step: StepName, strike: Strike, partners: Http
) -> None:
    order = order_that_meets(step)
    refused: list[str] = []

    def too_late() -> None:
        for ask in (planned, cancel):
            with pytest.raises(WrongState) as refusal:
                ask(order)
            refused.append(str(refusal.value))

    struck = strike(step, "commit", too_late)
    live(order)
    assert (len(struck), len(refused)) == (1, 2)
    assert all("is being undone already" in words for words in refused)
    assert (order.status, order.failure_type) == (OrderStatus.FAILED, FailureType.CARRIER_REJECTED)
    assert_sound()


def test_a_completed_order_stays_completed(strike: Strike, partners: Http) -> None:
    order = order_that_meets(StepName.COMPLETE)

    def too_late() -> None:
        with pytest.raises(WrongState, match="refund or return it"):
            cancel(order)

    struck = strike(StepName.COMPLETE, "committed", too_late)
    assert (live(order).status, len(struck)) == (OrderStatus.COMPLETED, 1)
    assert_sound()


@pytest.mark.parametrize(
    ("step", "taken"),
    [(StepName.RESERVE, 0), (StepName.FRAUD, 0), (StepName.CHARGE, 0), (StepName.SHIP, 1), (StepName.COMPLETE, 1)],
)
def test_a_held_order_is_cancelled_without_a_release(step: StepName, taken: int, partners: Http) -> None:
    order = make_order(started=True)
    process.adopt(str(order.id), run_id="run")
    for before in FORWARD:
        if before is step:
            break
        run(before, order)
    holding.hold(order.number, actor=TEST_ACTOR, reason="Call the customer")
    with pytest.raises(OnHold):
        run(step, order)
    assert holding.settle(str(order.id), actor=TEST_ACTOR)
    cancel(order)
    with pytest.raises(CancelAsked):
        run(step, order)
    undo(order, FailureType.CANCELLED)
    assert_undone(order, partners, taken=taken, recalled=int(step is StepName.COMPLETE))


@pytest.mark.parametrize("approved_too", [False, True])
def test_an_order_in_review_is_cancelled_without_a_verdict_or_against_it(approved_too: bool, partners: Http) -> None:
    order = make_reserved_order(product=make_product(unit_price="6000.00"), quantity=1)
    assert fraud.check(str(order.id), actor=TEST_ACTOR)
    assert planned(order) == ("1 piece goes back into the stock.",)
    cancel(order)
    if approved_too:
        rita = person(make_user("orders.decide_review"), Channel.API)
        reviewing.approve(order.number, actor=rita, reason="Too late")
        assert reviewing.settle(str(order.id), actor=TEST_ACTOR).approved
        with pytest.raises(CancelAsked):
            run(StepName.CHARGE, order)
    undo(order, FailureType.CANCELLED)
    assert_undone(order, partners)
    order.refresh_from_db()
    assert order.review.status == (ReviewStatus.APPROVED if approved_too else ReviewStatus.CLOSED)


@pytest.mark.parametrize("mode", ["error_before", "error_after"])
@pytest.mark.parametrize(
    ("partner", "operation"), [("payments", "payment_intents.confirm"), ("carrier", "shipments.book")]
)
def test_a_step_that_is_retrying_is_given_up_and_its_unknown_outcome_undone(
    partner: str, operation: str, mode: str, partners: Http
) -> None:
    order = make_prepared_order()
    step, retry = StepName.CHARGE, payments.charge
    if partner == "carrier":
        payments.charge(str(order.id), actor=TEST_ACTOR)
        step, retry = StepName.SHIP, shipping.ship
    partners.fault(partner=partner, operation=operation, mode=mode, times=1)
    with pytest.raises(PartnerUnavailable):
        retry(str(order.id), actor=TEST_ACTOR)
    assert cancelling.plan(order).stays == (
        f"The step {step} may still have its effect; the partner is asked, and it is undone too.",
    )
    cancel(order)
    with pytest.raises(CancelAsked):
        retry(str(order.id), actor=TEST_ACTOR)
    undo(order, FailureType.CANCELLED)
    happened = mode == "error_after"
    assert_undone(
        order,
        partners,
        taken=int(partner == "carrier" or happened),
        recalled=int(partner == "carrier" and happened),
    )
