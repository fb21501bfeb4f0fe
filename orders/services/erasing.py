"""Erasing the personal data of a customer, for ever, while orders, history and books stay as they are.

The customer's key is destroyed, which makes every encrypted copy unreadable, and what cannot be encrypted is replaced:
the reference, payment tokens, saved answers, feed rows (docs/personal-data.md has the map). It is one transaction: half
an erasure could neither be finished nor denied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from uuid import uuid4

from django.db import transaction
from django.db.models import Model, Q

from orders import clock, history
from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import (
    ApiToken,
    Command,
    Customer,
    FeedImport,
    Order,
    OrderEvent,
    OutboxMessage,
    Payment,
    ReturnCase,
    Shipment,
)
from orders.models.customer import ERASED
from orders.services import customers, exports, saved_answers, typed_words
from orders.services.feeds import forgetting
from orders.services.feeds.forgetting import Forgotten
from orders.vocabulary import OPEN_RETURNS, TERMINAL_STATUSES, CommandKind, CommandStatus, EventType, Topic

ORDERS_NAMED = 10
#: names that people gave to things that belong to no order, and reasons of commands, whatever they are about
NAMES: tuple[tuple[type[Model], tuple[str, ...]], ...] = (
    (FeedImport, ("name", "failure_message")),
    (ApiToken, ("name", "revoked_why")),
    (Command, ("reason", "outcome")),
)


@dataclass(frozen=True, kw_only=True)
class Erasure:
    command: Command
    #: what the customer is called from now on
    customer: str
    #: False when it had been done before and nothing has come in since
    is_new: bool

    @property
    def words(self) -> str:
        command = self.command
        moment = command.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        already = "" if self.is_new else "already "
        return f"The personal data was {already}erased by {command.actor} at {moment}. {command.outcome}"


def erase_customer(reference: str, *, actor: Actor, reason: str) -> Erasure:
    """Erase what is known of the customer of `reference`, also of one whose rows were all refused.

    Done before, it is done again for what has come in since, or says when and by whom it was done.
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
            if not forgetting.knows(reference):
                raise Customer.DoesNotExist
            customer = _without_orders(reference)
        if customer.erased_at is not None:
            return _erase_again(customer, reference, actor, reason)
        orders = history.lock_orders(Order.objects.filter(customer=customer).values_list("pk", flat=True))
        _refuse_open(orders)
        _refuse_open_returns(orders)
        known = [word for word in (customer.reference, *_names(customer)) if word]
        reason = _without(known, reason)[:500]
        forgotten = _erase(customer, orders)
        clean = partial(_without, known)
        exports.forget(orders, clean=clean)
        typed_words.forget(orders, clean=clean)
        for order in orders:
            order.payment_method = ERASED
            history.record(order, EventType.CUSTOMER_ERASED, actor=actor, reason=reason, save=["payment_method"])
        _forget_names(clean, known)
        outcome = _outcome(orders, known, forgotten)
        command = _record(customer, actor=actor, reason=reason, outcome=outcome)
    return Erasure(command=command, customer=customer.reference, is_new=True)


def _record(customer: Customer | None, *, actor: Actor, reason: str, outcome: str, subject: str = "") -> Command:
    return Command.objects.create(
        kind=CommandKind.ERASE_CUSTOMER,
        customer=customer,
        subject=subject,
        requested_by=actor.user if actor.user is not None and actor.user.pk else None,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        reason=reason,
        status=CommandStatus.DONE,
        outcome=outcome,
        finished_at=clock.now(),
    )


def _without_orders(reference: str) -> Customer:
    """A customer of whom feeds know and no order: the row of an erased one, so that the next request finds it."""
    customer = Customer.objects.create(
        reference=f"{ERASED}-{uuid4().hex}", erased_at=clock.now(), erased_digest=customers.digest(reference)
    )
    customer.reference = f"{ERASED}-{customer.pk}"
    customer.save(update_fields=["reference"])
    return customer


def _erase_again(customer: Customer, reference: str, actor: Actor, reason: str) -> Erasure:
    """What has come in since: rows of feeds whose orders were there already, or were refused."""
    first = customer.commands.filter(kind=CommandKind.ERASE_CUSTOMER).first()
    found = Forgotten(files=0, rows=0)
    if reference != customer.reference:
        found = forgetting.forget(reference, instead=customer.reference)
        saved_answers.forget_addresses(customer, old_reference=reference)
    if first is not None and not found.rows:
        return Erasure(command=first, customer=customer.reference, is_new=False)
    clean = partial(_without, [reference])
    _forget_names(clean, [reference])
    command = _record(
        customer if first is None else None,
        # One command of a customer is the erasure; later ones name what the customer is called since.
        subject="" if first is None else customer.reference,
        actor=actor,
        reason=clean(reason)[:500],
        outcome=_in_feeds(found),
    )
    return Erasure(command=command, customer=customer.reference, is_new=True)


def _forget_names(clean: Callable[[str], str], known: list[str]) -> None:
    """Take what names the customer out of the names that people gave to things, and out of why they did so."""
    for model, columns in NAMES:
        naming = Q()
        for column, word in product(columns, known):
            naming |= Q(**{f"{column}__icontains": word})
        typed_words.clean_rows(model._default_manager.filter(naming), columns, clean)


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


def _erase(customer: Customer, orders: list[Order]) -> Forgotten:
    old, key = customer.reference, customer.key
    customer.reference = f"{ERASED}-{customer.pk}"
    customer.personal, customer.key = b"", None
    customer.erased_at, customer.erased_digest = clock.now(), customers.digest(old)
    customer.save(update_fields=["reference", "personal", "key", "erased_at", "erased_digest"])
    if key is not None:
        key.delete()
    forgotten = forgetting.forget(old, instead=customer.reference)
    saved_answers.forget(customer, old_reference=old, order_numbers=[order.number for order in orders])
    Shipment.objects.filter(order__in=orders).update(label_url="")
    Payment.objects.filter(order__in=orders).update(payment_method=ERASED)
    starts = OutboxMessage.objects.filter(
        topic=Topic.START_ORDER, aggregate__in=[f"order:{order.pk}" for order in orders], body__customer=old
    )
    for message in starts:  # written by a version that named the customer
        message.body["customer"] = customer.reference
        message.save(update_fields=["body"])
    return forgotten


def _names(customer: Customer) -> tuple[str, str]:
    return customer.name, customer.email


def _without(words: list[str], text: str) -> str:
    for word in words:
        text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", ERASED, text, flags=re.IGNORECASE)
    return text


def _in_feeds(found: Forgotten) -> str:
    return f"{counted(found.rows, 'row')} of {counted(found.files, 'imported file')} named the customer."


def _outcome(orders: list[Order], known: list[str], forgotten: Forgotten) -> str:
    """What was done; the history stays, and its reasons that name the customer are counted."""
    reasons = OrderEvent.objects.filter(order__in=orders).values_list("reason", flat=True)
    naming = sum(_without(known, reason) != reason for reason in reasons)
    left = f" {naming} lines of the history name the customer and stay as they were." if naming else ""
    return f"{len(orders)} orders keep their history and money. {_in_feeds(forgotten)}{left}"
