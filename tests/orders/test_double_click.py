"""Two people give one command at the same moment, on connections of their own: one effect, and the second is told.

The order's lock decides who is first. Each command is tried for real, not one for all: the check that the lock protects
is a line in each service, and the line that is missing is the one nobody tried.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User

from orders.actor import Actor, person
from orders.errors import DomainError, InvalidInput, WrongState
from orders.models import Command, Order
from orders.services import (
    cancelling,
    holding,
    payment_methods,
    placing,
    placing_again,
    refunding,
    reviewing,
    skipping,
    stepping,
)
from orders.vocabulary import Channel, CommandKind
from tests.factories import make_order, make_prepared_order
from tests.orders import driving
from tests.orders.attempts_steps import BY_HAND, make_order_that_cannot_be_shipped
from tests.orders.connections import PATIENCE, connections

pytestmark = pytest.mark.django_db(transaction=True)
SAID = {"reason": "Why"}


def failing() -> Order:
    return driving.drive(make_order(), gateway=driving.outage())


def declined() -> Order:
    return driving.drive(make_order(), gateway=driving.decline())


def paused() -> Order:
    order = failing()
    stepping.pause(order.number, actor=driving.engine(order), reason="Repair")
    return order


def held() -> Order:
    order = make_prepared_order()
    holding.hold(order.number, actor=driving.engine(order), reason="Wait")
    return order


@dataclass(frozen=True, kw_only=True)
class Case:
    kind: CommandKind
    give: Callable[..., Any]
    make: Callable[[], Order]
    said: dict[str, Any]


def case(kind: CommandKind, give: Callable[..., Any], make: Callable[[], Order], **said: Any) -> Case:
    return Case(kind=kind, give=give, make=make, said=said or SAID)


CASES = [
    case(CommandKind.START, placing.start, make_order),
    case(CommandKind.PLACE_AGAIN, placing_again.place_again, declined),
    case(CommandKind.HOLD, holding.hold, make_prepared_order),
    case(CommandKind.RELEASE, holding.release, held),
    case(CommandKind.CANCEL, cancelling.cancel, make_prepared_order),
    case(CommandKind.STEP_RETRY, stepping.retry, failing),
    case(CommandKind.STEP_PAUSE, stepping.pause, failing),
    case(CommandKind.STEP_RESUME, stepping.resume, paused),
    case(CommandKind.STEP_SKIP, skipping.skip, make_order_that_cannot_be_shipped, **SAID, **BY_HAND),
    case(CommandKind.PAYMENT_METHOD, payment_methods.change, failing, **SAID, payment_method="pm_card_mastercard"),
    case(CommandKind.REFUND, refunding.request, lambda: driving.drive(make_order()), **SAID, amount_minor=500),
    case(CommandKind.REFUND_RETRY, refunding.retry, driving.make_order_that_is_owed),
    case(CommandKind.REVIEW_CLAIM, reviewing.claim, driving.make_order_in_review),
    case(CommandKind.REVIEW_APPROVE, reviewing.approve, driving.make_order_in_review),
    case(CommandKind.REVIEW_REJECT, reviewing.reject, driving.make_order_in_review),
    case(CommandKind.REVIEW_ASK, reviewing.ask, driving.make_order_in_review, question="Who is this?"),
    case(CommandKind.REVIEW_EXTEND, reviewing.extend, driving.make_order_in_review, **SAID, hours=48),
]


def test_every_command_of_an_order_is_tried() -> None:
    #: about something else than an order, or tried beside what they are about
    elsewhere = (
        *("import_", "erase_customer", "partner_", "process_", "schedule_", "batch_", "export", "playbook_"),
        *("return_", "notice_", "quality_"),
    )
    assert {one.kind for one in CASES} == {kind for kind in CommandKind if not kind.startswith(elsewhere)}


@pytest.mark.parametrize("one", CASES, ids=lambda one: str(one.kind))
def test_two_people_at_once_have_one_effect_and_the_second_is_told_who_was_first(one: Case) -> None:
    order = one.make()
    before = Command.objects.filter(order=order, kind=one.kind).count()
    people = [person(User.objects.create_superuser(name), Channel.API) for name in ("lena", "otto")]

    def give(actor: Actor) -> str:
        try:
            one.give(order.number, actor=actor, **one.said)
        except (WrongState, InvalidInput) as refusal:
            return str(refusal)
        return ""

    with connections(2) as pool:
        at_once = [pool.begin(give, actor) for actor in people]
        answers = [answer.result(PATIENCE) for answer in at_once]

    assert sorted(map(bool, answers)) == [False, True], answers
    first, told = people[answers.index("")].name, "".join(answers)
    assert first in told, f"The second is not told that {first} was first: {told}"
    assert "UTC" in told, f"The second is not told when: {told}"
    assert Command.objects.filter(order=order, kind=one.kind).count() == before + 1


def test_a_person_who_clicks_twice_is_told_that_it_was_they() -> None:
    order = make_prepared_order()
    lena = person(User.objects.create_superuser("lena"), Channel.ADMIN)
    holding.hold(order.number, actor=lena, **SAID)
    with pytest.raises(DomainError, match="is on hold already, by lena at "):
        holding.hold(order.number, actor=lena, **SAID)
