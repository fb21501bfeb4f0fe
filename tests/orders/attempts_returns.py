"""How to try each command on returns at each of its doors; a part of `access_attempts.ATTEMPTS`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orders.models import Order, ReturnCase
from orders.services import returning
from orders.services.returning import Announced, Received
from orders.vocabulary import Channel
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving

if TYPE_CHECKING:
    from tests.orders.access_attempts import Attempt


def _completed() -> Order:
    return driving.drive(make_order())


def make_announced() -> ReturnCase:
    """Both pieces of a completed order of 20.00 are announced."""
    lines = [Announced(position=1, quantity=2)]
    return returning.announce(_completed().number, lines=lines, actor=TEST_ACTOR, reason="Too dark")


def make_received() -> ReturnCase:
    """One of them came: 10.00 are due."""
    lines = [Received(position=1, received=1)]
    return returning.receive(make_announced().pk, lines=lines, actor=TEST_ACTOR, reason="Parcel 7")


def attempts(make: Callable[..., Attempt]) -> tuple[Attempt, ...]:
    """`make` is the class of attempts, handed in because its module imports this one."""

    def pair(verb: str, prepare: Callable[[], ReturnCase], form: dict[str, str], body: dict[str, Any]) -> list[Attempt]:
        command = f"return_{verb}"
        return [
            make(
                command=command,
                channel=Channel.ADMIN,
                door=f"orders:return-{verb}",
                prepare=prepare,
                do=lambda person, case: person.post(
                    f"orders:return-{verb}", {"return_id": str(case.pk), "reason": "Why", **form}, case.order.number
                ),
            ),
            make(
                command=command,
                channel=Channel.API,
                door=f"Returns.{verb}",
                prepare=prepare,
                do=lambda person, case: person.call(f"/api/returns/{case.pk}/{verb}/", {"reason": "Why", **body}),
            ),
        ]

    return (
        make(
            command="return_announce",
            channel=Channel.ADMIN,
            door="orders:return-announce",
            prepare=_completed,
            do=lambda person, order: person.post(
                "orders:return-announce", {"reason": "Why", "pieces-1": "1"}, order.number
            ),
        ),
        make(
            command="return_announce",
            channel=Channel.API,
            door="OrderReturns.announce",
            prepare=_completed,
            do=lambda person, order: person.call(
                f"/api/orders/{order.number}/returns/", {"reason": "Why", "lines": [{"position": 1, "quantity": 1}]}
            ),
        ),
        *pair("receive", make_announced, {"received-1": "1"}, {"lines": [{"position": 1, "received": 1}]}),
        *pair("withdraw", make_announced, {}, {}),
        *pair("refund", make_received, {"amount_minor": "1000"}, {"amount_minor": 1_000}),
        *pair("close", make_received, {}, {}),
    )
