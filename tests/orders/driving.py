"""Drives orders through their steps as the engine does, with partners that answer at once or as a test says.

Page tests need orders in every state; a Temporal server would be the slowest way to get them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from backoffice.database_roles import Role
from orders.actor import Actor, system
from orders.errors import CarrierRejected, DomainError, PartnerUnavailable
from orders.models import Order
from orders.partners.carrier import Booking
from orders.partners.fraud import Score
from orders.partners.payments import Declined, GatewayRefund, Intent, RefundRefused
from orders.services import fraud, payments, placing, process, refunding, repaying, reviewing, shipping, stock
from orders.vocabulary import Channel, FailureType, OrderStatus
from tests import rights
from tests.factories import make_order, make_product, make_reserved_order

RUN_ID = "0191f0a0-0000-7000-8000-{:012d}"


def engine(order: Order) -> Actor:
    return system("order process", workflow_id=f"order:{order.pk}", run_id=order.process_run_id, attempt=1)


@contextmanager
def partners(*, gateway: Exception | None = None, carrier: Exception | None = None) -> Iterator[None]:
    """Partners that take everything, or answer every charge or booking with the given error."""

    def confirm(intent: str, *, key: str) -> Intent:
        if gateway:
            raise gateway
        return Intent(id=intent, status="succeeded", amount_minor=Order.objects.get(pk=intent[3:]).total_minor)

    def create(*, order: str, amount_minor: int, **rest: object) -> Intent:
        return Intent(id=f"pi_{order}", status="requires_confirmation", amount_minor=amount_minor)

    def retrieve(intent: str) -> Intent:
        order = Order.objects.get(pk=intent[3:])
        taken = hasattr(order, "payment") and order.payment.captured_minor
        return Intent(
            id=intent, status="succeeded" if taken else "requires_confirmation", amount_minor=order.total_minor
        )

    def cancel(intent: str, *, key: str) -> Intent:
        return Intent(id=intent, status="canceled", amount_minor=0)

    def book(reference: str, **rest: object) -> Booking:
        if carrier:
            raise carrier
        return _booking(reference, "booked")

    fakes = {
        "orders.services.payments.gateway": {
            "create_intent": create,
            "confirm": confirm,
            "retrieve": retrieve,
            "cancel": cancel,
            "refund": lambda intent, *, amount_minor, **rest: GatewayRefund(
                id=f"re_{intent[3:]}", status="succeeded", amount_minor=amount_minor, payment=intent
            ),
            "find_for_order": lambda order, **rest: [],
            "refunds_of": lambda intent: [],
        },
        "orders.services.settlement.disputes": {"disputes_of": lambda intent: []},
        "orders.services.fraud.partner": {"score": lambda order, **rest: Score(points=7, reasons=())},
        "orders.services.shipping.carrier": {
            "book": book,
            "find": lambda reference: None,
            "cancel": lambda reference, **rest: _booking(reference, "cancelled"),
        },
    }
    patches = [mock.patch(f"{module}.{name}", fake) for module, named in fakes.items() for name, fake in named.items()]
    for patch in patches:
        patch.start()
    try:
        yield
    finally:
        for patch in patches:
            patch.stop()


def _booking(reference: str, status: str) -> Booking:
    return Booking(
        reference=reference,
        status=status,
        carrier="Parcel Line",
        tracking_number=f"PL{reference[:8].upper()}",
        label_url="",
    )


def adopt(order: Order) -> Order:
    """Bind a run to the order, and start it first where nobody did."""
    if order.status == OrderStatus.PLACED:
        placing.start(order.number, actor=system("test", Channel.CLI))
    process.adopt(str(order.pk), run_id=RUN_ID.format(int(order.number.split("-")[1])))
    order.refresh_from_db()
    return order


def drive(order: Order, *, gateway: Exception | None = None, carrier: Exception | None = None) -> Order:
    """All steps; a partner error that is final is undone, one that is not leaves the order where it waits."""
    actor, order_id = engine(adopt(order)), str(order.pk)
    with partners(gateway=gateway, carrier=carrier), rights.of(Role.WORKER):
        try:
            process.validate(order_id, actor=actor)
            stock.reserve(order_id, actor=actor)
            if fraud.check(order_id, actor=actor):
                reviewing.settle(order_id, actor=actor)
                return refreshed(order)
            payments.charge(order_id, actor=actor)
            shipping.ship(order_id, actor=actor)
            process.complete(order_id, actor=actor)
        except PartnerUnavailable:
            pass
        except DomainError as error:
            undo(order, error.failure_type, str(error))
    return refreshed(order)


def refreshed(order: Order) -> Order:
    order.refresh_from_db()
    return order


def make_order_in_review(unit_price: str = "6000.00") -> Order:
    """An order that the rules find suspicious; a person must decide."""
    order = make_reserved_order(product=make_product(unit_price=unit_price), quantity=1)
    with partners():
        assert fraud.check(str(order.pk), actor=engine(order))
    return refreshed(order)


def undo(order: Order, failure: FailureType, message: str, *, to_the_end: bool = True) -> Order:
    """Undo in reverse and close; with `to_the_end` off it stops after the undo has begun."""
    actor, order_id = engine(order), str(order.pk)
    with partners(), rights.of(Role.WORKER):
        process.begin_undo(order_id, failure_type=failure, message=message, actor=actor)
        if to_the_end:
            shipping.undo_ship(order_id, actor=actor)
            payments.undo_charge(order_id, actor=actor)
            stock.release(order_id, actor=actor)
            process.close(order_id, actor=actor)
    order.refresh_from_db()
    return order


def decline() -> Declined:
    return Declined("insufficient_funds", "Your card has insufficient funds.")


def outage() -> PartnerUnavailable:
    return PartnerUnavailable("The payment gateway answered 503")


def make_order_that_is_owed() -> Order:
    """A completed order of whose 20.00 the gateway refused to give 5.00 back."""
    order = drive(make_order())
    refund = refunding.request(order.number, amount_minor=500, actor=system("test", Channel.CLI), reason="Broken")
    with partners(), mock.patch("orders.services.repaying.gateway.refund", side_effect=RefundRefused("No.")):
        repaying.send(str(refund.pk), actor=engine(order))
    return refreshed(order)


def refuse_address() -> CarrierRejected:
    return CarrierRejected("The carrier refused: SimPost does not serve AQ")


def make_order_that_was_charged_without_a_check() -> Order:
    """An order of version 1 of the process, which knew no fraud check."""
    order = make_reserved_order(then=OrderStatus.CHARGING)
    with partners():
        payments.charge(str(order.pk), actor=engine(order))
    return refreshed(order)
