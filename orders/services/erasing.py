"""Erasing a person for ever, while orders, history and books stay as they are.

The customer's key is destroyed, which makes every encrypted copy unreadable, and what cannot be encrypted is replaced:
the reference, payment tokens, saved answers, files and rows of feeds, and every text in which somebody may have typed a
name (`orders.services.texts`, docs/personal-data.md). It is one transaction: half an erasure could neither be finished
nor denied. Asked for again, all of it is done again, because the same file may have come in since.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import uuid4

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import Command, Customer, IdempotencyRecord, Order, OutboxMessage, Payment, ReturnCase, Shipment
from orders.models.customer import ERASED
from orders.services import customers, exports, saved_answers
from orders.services.feeds import forgetting
from orders.services.texts import masking, sealed_words
from orders.services.texts.person import LEAST_LENGTH, Person
from orders.services.texts.report import Place, told
from orders.vocabulary import OPEN_RETURNS, TERMINAL_STATUSES, CommandKind, CommandStatus, EventType, Topic

ORDERS_NAMED = 10
MOST_WORDS, MOST_CHARACTERS = 20, 200


@dataclass(frozen=True, kw_only=True)
class Erasure:
    command: Command
    #: what the customer is called from now on
    customer: str
    #: False when it had been done before and nothing has come in since
    is_new: bool
    #: where was looked, and what was found
    places: tuple[Place, ...]

    @property
    def words(self) -> str:
        command = self.command
        moment = command.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
        again = "" if self.is_new else "It had been erased before, and nothing has come in since. "
        return f"The personal data was erased by {command.actor} at {moment}. {again}{command.outcome}"


def erase_customer(reference: str, *, actor: Actor, reason: str, also: Iterable[str] = ()) -> Erasure:
    """Erase the person of `reference`, also one whose rows were all refused; ends with a report of where it looked.

    `also` are other words that name the person and that nobody stored as theirs, as an address or another spelling;
    they are not kept. Raises `NotPermitted`, `InvalidInput`, `Customer.DoesNotExist`, or `WrongState` while something
    is under way.
    """
    actor.require("orders.erase_customer")
    if not reason.strip():
        raise InvalidInput("reason", "A reason is needed: who asked for it, and under which number of yours.")
    if len(reason) > 500:
        raise InvalidInput("reason", f"The reason has {len(reason)} characters; the limit is 500.")
    words = _checked(also)
    with transaction.atomic():
        customer = _customer(reference, Person(words=(reference, *words)))
        is_first = customer.erased_at is None
        orders: list[Order] = []
        person = Person(words=(reference, *words))
        if is_first:
            orders = history.lock_orders(Order.objects.filter(customer=customer).values_list("pk", flat=True))
            _refuse_open(orders)
            _refuse_open_returns(orders)
            person = Person(words=(reference, customer.name, customer.email, *words))
            _destroy(customer, orders)
        elif reference == customer.reference:
            reference, person = "", Person(words=words)
        reason = person.clean(reason)[:500]
        places = [*_forget(customer, reference, person, orders)]
        for order in orders:
            order.payment_method = ERASED
            history.record(order, EventType.CUSTOMER_ERASED, actor=actor, reason=reason, save=["payment_method"])
        command = _record(customer, actor, reason, outcome=_outcome(orders, places), places=places)
    found = any(place.found for place in places if place.is_news)
    return Erasure(command=command, customer=customer.reference, is_new=is_first or found, places=tuple(places))


def _checked(also: Iterable[str]) -> tuple[str, ...]:
    words = tuple(word.strip() for word in also if word.strip())
    if len(words) > MOST_WORDS:
        raise InvalidInput("also", f"{len(words)} other words are given; the limit is {MOST_WORDS}.")
    for word in words:
        if not LEAST_LENGTH <= len(word) <= MOST_CHARACTERS:
            raise InvalidInput("also", f"Each of the other words has {LEAST_LENGTH} to {MOST_CHARACTERS} characters.")
    return words


def _customer(reference: str, person: Person) -> Customer:
    """The row of the person, locked, erased or not; made for one of whom only files or texts know."""
    # FOR UPDATE, against the KEY SHARE of an order that is being placed.
    rows = Customer.objects.select_for_update(of=("self",)).select_related("key")
    customer = rows.filter(reference=reference).first() or customers.erased(reference)
    if customer is not None:
        return customer
    if not (forgetting.knows(reference, person) or masking.names(person) or sealed_words.names(person)):
        raise Customer.DoesNotExist
    # So that the next request finds that there was one.
    customer = Customer.objects.create(
        reference=f"{ERASED}-{uuid4().hex}", erased_at=clock.now(), erased_digest=customers.digest(reference)
    )
    customer.reference = f"{ERASED}-{customer.pk}"
    customer.save(update_fields=["reference"])
    return customer


def _destroy(customer: Customer, orders: list[Order]) -> None:
    """Delete the customer's key, and replace what stands in rows of their own."""
    old, key = customer.reference, customer.key
    customer.reference = f"{ERASED}-{customer.pk}"
    customer.personal, customer.key = b"", None
    customer.erased_at, customer.erased_digest = clock.now(), customers.digest(old)
    customer.save(update_fields=["reference", "personal", "key", "erased_at", "erased_digest"])
    if key is not None:
        key.delete()
    Shipment.objects.filter(order__in=orders).update(label_url="")
    Payment.objects.filter(order__in=orders).update(payment_method=ERASED)
    starts = OutboxMessage.objects.filter(
        topic=Topic.START_ORDER, aggregate__in=[f"order:{order.pk}" for order in orders], body__customer=old
    )
    for message in starts:  # written by a version that named the customer
        message.body["customer"] = customer.reference
        message.save(update_fields=["body"])


def _forget(customer: Customer, reference: str, person: Person, orders: list[Order]) -> Iterable[Place]:
    """Search everything, one kind of place after the other."""
    numbers = [order.number for order in orders]
    addresses = saved_answers.forget_addresses(customer, old_reference=reference) if reference else 0
    feeds = forgetting.forget(reference, person=person, instead=customer.reference)
    yield Place(where="files of imports", looked_at=feeds.looked_at, found=feeds.files)
    yield Place(where="rows of imports", found=feeds.rows)
    yield Place(where="files of exports", found=exports.forget(orders))
    yield Place(where="saved answers", found=saved_answers.forget(customer, person=person, order_numbers=numbers))
    # That of the request itself is always among them.
    yield Place(where="addresses of requests", found=addresses, is_news=False)
    for table, count in masking.mask(person).items():
        yield Place(where=table, found=count, is_news=table != IdempotencyRecord._meta.label)
    for table, count in sealed_words.destroy(person).items():
        yield Place(where=table, found=count)
    for table, count in masking.left(person).items():
        yield Place(where=table, found=count, stays=True, is_news=False)


def _record(customer: Customer, actor: Actor, reason: str, *, outcome: str, places: Iterable[Place]) -> Command:
    first = not customer.commands.filter(kind=CommandKind.ERASE_CUSTOMER).exists()
    return Command.objects.create(
        kind=CommandKind.ERASE_CUSTOMER,
        # One command of a customer is the erasure; later ones name what the customer is called since.
        customer=customer if first else None,
        subject="" if first else customer.reference,
        requested_by=actor.user if actor.user is not None and actor.user.pk else None,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        reason=reason,
        details={"report": [place.as_row() for place in places]},
        status=CommandStatus.DONE,
        outcome=outcome,
        finished_at=clock.now(),
    )


def _outcome(orders: list[Order], places: list[Place]) -> str:
    kept = f"{counted(len(orders), 'order')} keep their history and money. " if orders else ""
    return f"{kept}{told(places)}"[:500]


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
