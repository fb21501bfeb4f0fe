"""Doing without the partner of a failing step, with a reason.

Only where the work can be done without it: the fraud check then counts our own rules only, and a shipment is one that a
person booked elsewhere by hand. The command is a row that the step's next attempt obeys after its claim, so it binds
however late Temporal hears of it. Money is never skipped, and neither is an undo: the first would give goods away, the
second would leave something where it does not belong.
"""

from __future__ import annotations

from django.db import transaction

from orders import history
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Command
from orders.services import commands, stepping
from orders.vocabulary import SKIPPABLE_STEPS, CommandKind, EventType, StepName, Topic
from orders.wording import STEP_DOING

MAX_NAME = 64
WHY_NOT = {
    StepName.CHARGE: "goods would leave unpaid; change the payment method, or cancel the order",
    StepName.REFUND: "an undo is never left out, the customer's money would stay with us",
    StepName.RECALL: "an undo is never left out, the parcel would leave for nobody",
}


def skip(order_number: str, *, actor: Actor, reason: str, carrier: str = "", tracking_number: str = "") -> Command:
    """Let the failing step do without its partner; a shipment needs the carrier and number it was booked by hand under.

    Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput`, or `WrongState` when no step fails, the failing one
    cannot be skipped, or somebody skipped it already.
    """
    actor.require("orders.skip_step")
    by_hand = {"carrier": carrier.strip(), "tracking_number": tracking_number.strip()}
    with transaction.atomic():
        order, step = stepping.failing(order_number)
        name = StepName(step.name)
        if name not in SKIPPABLE_STEPS:
            raise WrongState(f"Order {order.number}: {STEP_DOING[name]} cannot be skipped: {WHY_NOT[name]}.")
        commands.refuse_second(order, CommandKind.CANCEL, "is being cancelled")
        commands.refuse_second(order, CommandKind.STEP_SKIP, "does without the partner")
        _require_fitting(name, by_hand)
        stepping.end_pauses(order, f"Skipped by {actor.name}: {reason}")
        command = commands.record(
            CommandKind.STEP_SKIP,
            order,
            actor=actor,
            reason=reason,
            tell=Topic.DRIVE_STEP,
            step=name,
            details=by_hand if name is StepName.SHIP else {},
        )
        history.record(
            order,
            EventType.STEP_SKIP_ASKED,
            actor=actor,
            reason=reason,
            step=name,
            data={"command": str(command.pk), **command.details},
        )
    return command


def _require_fitting(name: StepName, by_hand: dict[str, str]) -> None:
    for field, value in by_hand.items():
        if name is not StepName.SHIP and value:
            raise InvalidInput(field, "Only a shipment is booked by hand; here the fraud check is skipped.")
        if name is StepName.SHIP and not 1 <= len(value) <= MAX_NAME:
            raise InvalidInput(
                field, f"A shipment is skipped when it was booked by hand: 1 to {MAX_NAME} characters are needed."
            )
