"""How to try the commands about a failing step, a payment method and a failed order at each of their doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orders.models import Order
from orders.vocabulary import Channel, CommandKind
from tests.factories import make_order, make_prepared_order
from tests.orders import driving
from tests.orders.access_attempts import Attempt

BY_HAND = {"carrier": "Night Bike", "tracking_number": "NB-7"}


def make_order_that_cannot_be_shipped() -> Order:
    """The carrier does not answer; the booking is tried again."""
    return driving.drive(make_order(), carrier=driving.PartnerUnavailable("The carrier answered 503."))


def make_failed_order() -> Order:
    return driving.drive(make_order(), gateway=driving.decline())


def _attempts(
    command: CommandKind, address: str, call: str, path: str, prepare: Callable[[], Order], body: dict[str, Any]
) -> tuple[Attempt, Attempt]:
    return (
        Attempt(
            command=command,
            channel=Channel.ADMIN,
            door=address,
            prepare=prepare,
            do=lambda person, order: person.post(address, {"reason": "Why", **body}, order.number),
        ),
        Attempt(
            command=command,
            channel=Channel.API,
            door=call,
            prepare=prepare,
            do=lambda person, order: person.call(f"/api/orders/{order.number}/{path}/", {"reason": "Why", **body}),
        ),
    )


STEP_ATTEMPTS: tuple[Attempt, ...] = (
    *_attempts(
        CommandKind.STEP_SKIP,
        "orders:step-skip",
        "StepCommands.skip",
        "step/skip",
        make_order_that_cannot_be_shipped,
        BY_HAND,
    ),
    *_attempts(
        CommandKind.PLACE_AGAIN, "orders:place-again", "Orders.place_again", "place-again", make_failed_order, {}
    ),
    *_attempts(
        CommandKind.PAYMENT_METHOD,
        "orders:payment-method",
        "OrderCommands.payment_method",
        "payment-method",
        make_prepared_order,
        {"payment_method": "pm_card_mastercard"},
    ),
)
