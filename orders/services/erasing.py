"""Erasing the personal data of a customer, for ever, while orders, history and books stay as they are.

The customer's key is destroyed, which makes every encrypted copy unreadable, and what cannot be encrypted is replaced:
the reference, payment tokens, saved answers, feed rows (docs/personal-data.md has the map). It is one transaction: half
an erasure could neither be finished nor denied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Customer, Order, OrderEvent, OutboxMessage, Payment, ReturnCase, Shipment
from orders.models.customer import ERASED
from orders.services import customers, exports, saved_answers, typed_words
from orders.services.feeds import forgetting
from orders.vocabulary import OPEN_RETURNS, TERMINAL_STATUSES, CommandKind, CommandStatus, EventType, Topic

ORDERS_NAMED = 10


@dataclass(frozen=True, kw_only=True)
class Erasure:
    command: Command
    #: False when it had been done before
    is_new: bool

    @property
    def words(self) -> str:
        command = self.command
        moment = command.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        already = "" if self.is_new else "already "
        return f"The personal data was {already}erased by {command.actor} at {moment}. {command.outcome}"


def erase_customer(reference: str, *, actor: Actor, reason: str) -> Erasure:
    """Erase what is known of the customer of `reference`, or say when and by whom it was done.

    Raises `NotPermitted`, `InvalidInput`, `Customer.DoesNotExist`, or `WrongState` while something is under way.
    """
    actor.require("orders.erase_customer")
    if not reason.strip():
        raise InvalidInput("reason", "A reason is needed: who asked for it, and under which number of yours.")
    if len(reason) > 500:
        raise InvalidInput("reason", f"The reason has {len(reason)} characters; the limit is 500.")
    with transaction.atomic():
        # FOR UPDATE, against the KEY SHARE of an order that is being placed.
        customer = Customer.objects.select_for_update(of=("self",)).select_related("key").filter(
            reference=reference
        ).first() or customers.erased(reference)
        if customer is None:
            raise Customer.DoesNotExist
        if customer.erased_at is not None:
            return Erasure(command=customer.commands.get(kind=CommandKind.ERASE_CUSTOMER), is_new=False)
        orders = history.lock_orders(Order.objects.filter(customer=customer).values_list("pk", flat=True))
        _refuse_open(orders)
        _refuse_open_returns(orders)
        known = [word for word in (customer.reference, *_names(customer)) if word]
        reason = _without(known, reason)[:500]
        _erase(customer, orders)
        clean = partial(_without, known)
        exports.forget(orders, clean=clean)
        typed_words.forget(orders, clean=clean)
        for order in orders:
            order.payment_method = ERASED
            history.record(order, EventType.CUSTOMER_ERASED, actor=actor, reason=reason, save=["payment_method"])
        command = Command.objects.create(
            kind=CommandKind.ERASE_CUSTOMER,
            customer=customer,
            requested_by=actor.user if actor.user is not None and actor.user.pk else None,  # type: ignore[misc]
            actor=actor.name,
            channel=actor.channel,
            reason=reason,
            status=CommandStatus.DONE,
            outcome=_outcome(orders, known),
            finished_at=customer.erased_at,
        )
    return Erasure(command=command, is_new=True)


def _refuse_open(orders: list[Order]) -> None:
    still_open = [order.number for order in orders if order.status not in TERMINAL_STATUSES]
    if still_open:
        more = f" and {len(still_open) - ORDERS_NAMED} more" if len(still_open) > ORDERS_NAMED else ""
        raise WrongState(
            f"The customer has open orders: {', '.join(still_open[:ORDERS_NAMED])}{more}. "
            "Complete or cancel them first."
        )


def _refuse_open_returns(orders: list[Order]) -> None:
    """Whoever counts or pays back must still know what was sent to whom."""
    waiting = ReturnCase.objects.filter(order__in=orders, status__in=OPEN_RETURNS)
    numbers = list(waiting.order_by("order_id").values_list("order__number", flat=True)[:ORDERS_NAMED])
    if numbers:
        raise WrongState(f"Goods of {', '.join(numbers)} are coming back or not settled. End these returns first.")


def _erase(customer: Customer, orders: list[Order]) -> None:
    old, key = customer.reference, customer.key
    customer.reference = f"{ERASED}-{customer.pk}"
    customer.personal, customer.key = b"", None
    customer.erased_at, customer.erased_digest = clock.now(), customers.digest(old)
    customer.save(update_fields=["reference", "personal", "key", "erased_at", "erased_digest"])
    if key is not None:
        key.delete()
    forgetting.forget(old, instead=customer.reference)
    saved_answers.forget(customer, old_reference=old, order_numbers=[order.number for order in orders])
    Shipment.objects.filter(order__in=orders).update(label_url="")
    Payment.objects.filter(order__in=orders).update(payment_method=ERASED)
    starts = OutboxMessage.objects.filter(
        topic=Topic.START_ORDER, aggregate__in=[f"order:{order.pk}" for order in orders], body__customer=old
    )
    for message in starts:  # written by a version that named the customer
        message.body["customer"] = customer.reference
        message.save(update_fields=["body"])


def _names(customer: Customer) -> tuple[str, str]:
    return customer.name, customer.email


def _without(words: list[str], text: str) -> str:
    for word in words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", ERASED, text, flags=re.IGNORECASE)
    return text


def _outcome(orders: list[Order], known: list[str]) -> str:
    """What was done; the history stays, and its reasons that name the customer are counted."""
    reasons = OrderEvent.objects.filter(order__in=orders).values_list("reason", flat=True)
    naming = sum(_without(known, reason) != reason for reason in reasons)
    left = f" {naming} lines of the history name the customer and stay as they were." if naming else ""
    return f"{len(orders)} orders keep their history and money.{left}"
