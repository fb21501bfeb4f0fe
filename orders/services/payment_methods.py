"""Another payment method for an order whose money was not taken.

The order names the method that is wanted, the payment the one that its intent was made with; where the two differ, the
next attempt of the charge asks the gateway what became of the old intent, cancels it there, and only then makes a new
one under new keys. If the old one has taken the money already, the change came too late, and the order is told so.
"""

from __future__ import annotations

import re

from django.db import transaction

from orders import history
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Order, Payment, Step
from orders.services import commands, payment_waits, stepping
from orders.vocabulary import (
    CommandKind,
    EventType,
    OrderStatus,
    PaymentStatus,
    PaymentWait,
    StepName,
    StepStatus,
    Topic,
)

#: never a card number; what is said does not repeat the value, so that none reaches an answer or a log
TOKEN = re.compile(r"(pm|tok)_[A-Za-z0-9_]{1,120}")
TOKEN_SAYS = "It must be the gateway's token of a payment method (pm_... or tok_...), never a card number."


def change(order_number: str, *, payment_method: str, actor: Actor, reason: str) -> Command:
    """Charge another payment method. Raises `NotPermitted`, `Order.DoesNotExist`, `InvalidInput`, or `WrongState`.

    It is too late once the money was taken, while the first attempt at it is under way, and when the order ends.
    """
    actor.require("orders.change_payment_method")
    if not TOKEN.fullmatch(payment_method):
        raise InvalidInput("payment_method", TOKEN_SAYS)
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        charge = order.steps.filter(name=StepName.CHARGE).first()
        _require_in_time(order, charge)
        if order.payment_method == payment_method:
            who = commands.said_who(order, CommandKind.PAYMENT_METHOD, "changed it")
            raise WrongState(f"Order {order.number} has this payment method already.{who}")
        # The row is the first act of the charge, under this lock: without it the gateway never heard of the order.
        payment = Payment.objects.filter(order=order).first()
        if payment is not None and payment.status == PaymentStatus.DECLINED:
            raise WrongState(f"Order {order.number}: the payment was declined, and the order ends; place it again.")
        begun = payment is not None
        wakes = begun and charge is not None and charge.last_error != "" and stepping.paused(order, charge) is None
        tell = Topic.DRIVE_STEP if wakes else None
        if payment is not None and payment.waits_for:
            _require_not_at_the_bank(order, payment)
            # No attempt is under way that could be driven: the process itself sleeps.
            tell = Topic.TELL_ORDER
        command = commands.record(
            CommandKind.PAYMENT_METHOD,
            order,
            actor=actor,
            reason=reason,
            step=StepName.CHARGE,
            done="" if begun else "The charge will be made with it.",
            tell=tell,
        )
        order.payment_method = payment_method
        history.record(
            order,
            EventType.PAYMENT_METHOD_ASKED if begun else EventType.PAYMENT_METHOD_CHANGED,
            actor=actor,
            reason=reason,
            data={"command": str(command.pk)},
            save=("payment_method",),
        )
    return command


def obey(order: Order, payment: Payment, *, actor: Actor) -> None:
    """The old intent is cancelled: the next one is made with the order's method. The caller holds the order's lock."""
    payment.payment_method, payment.gateway_reference = order.payment_method, ""
    payment.generation += 1
    waited = payment_waits.end(payment)
    payment.save(update_fields=["payment_method", "gateway_reference", "generation", *waited, "updated_at"])
    before = order.status
    if order.status == OrderStatus.AWAITING_PAYMENT:
        order.move_to(OrderStatus.CHARGING)
    asked = commands.standing(order.pk, CommandKind.PAYMENT_METHOD)
    history.record(
        order,
        EventType.PAYMENT_METHOD_CHANGED,
        actor=actor,
        reason="The payment that was begun is cancelled at the gateway; the next one is made with the new method",
        step=StepName.CHARGE,
        status_before=before,
        data={"generation": payment.generation},
    )
    if asked is not None:
        commands.finish(Command.objects.filter(pk=asked.pk), "The payment that was begun was cancelled for it.")


def too_late(order: Order, payment: Payment, *, actor: Actor) -> None:
    """The money was taken with the method that the payment names; the caller holds the order's lock and saves it."""
    if order.payment_method == payment.payment_method:
        return
    order.payment_method = payment.payment_method
    asked = commands.standing(order.pk, CommandKind.PAYMENT_METHOD)
    if asked is not None:
        commands.leave_alone(order, asked, "The payment had been taken with the method before.", actor=actor)


def _require_in_time(order: Order, charge: Step | None) -> None:
    if order.is_terminal:
        raise WrongState(f"Order {order.number} is {order.status}; place it again with the other payment method.")
    commands.refuse_second(order, CommandKind.CANCEL, "is being cancelled")
    if order.status == OrderStatus.UNDOING:
        raise WrongState(f"Order {order.number} is being undone already, because {order.failure_message}")
    commands.refuse_second(order, CommandKind.PAYMENT_METHOD, "gets another payment method")
    if charge is None:
        return
    if charge.status != StepStatus.OPEN:
        raise WrongState(f"Order {order.number}: the payment was taken at {charge.finished_at:%Y-%m-%d %H:%M:%S} UTC.")
    waits = {OrderStatus.ON_HOLD, OrderStatus.AWAITING_PAYMENT}
    if not charge.last_error and order.status not in waits:
        raise WrongState(f"Order {order.number}: the payment is being taken at this moment; look again in a moment.")


def _require_not_at_the_bank(order: Order, payment: Payment) -> None:
    """A debit that the bank has begun cannot be cancelled: a second payment could take the money twice."""
    if payment.waits_for == PaymentWait.BANK:
        raise WrongState(
            f"Order {order.number}: the bank has the debit since {payment.waiting_since:%Y-%m-%d %H:%M} UTC and must "
            "decide first. If it is not paid the order ends, and can be placed again."
        )
