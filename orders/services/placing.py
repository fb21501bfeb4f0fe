"""Taking orders in, and asking for their processing.

Both write everything in one transaction: the order with its lines and history, and for a start the command and the
outbox row that carries it to Temporal. The request that asked never waits for Temporal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, NamedTuple

from django.db import IntegrityError, connection, transaction

from orders import clock, current_request, history, outbox, vocabulary
from orders.actor import Actor
from orders.errors import AlreadyExists, InvalidInput, WrongState
from orders.models import Batch, Command, Customer, Order, OrderLine, Product
from orders.models.customer import Personal
from orders.services import customers
from orders.services.copying import copy_rows
from orders.vocabulary import Channel, CommandKind, Currency, EventType, OrderStatus, Topic


@dataclass(frozen=True, kw_only=True)
class NewLine:
    sku: str
    #: pieces, 1 to MAX_LINE_QUANTITY
    quantity: int
    #: major units; None takes the catalogue's price
    unit_price: Decimal | None = None
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class NewCustomer:
    reference: str
    name: str = ""
    email: str = ""
    country: str = ""


class Line(NamedTuple):
    """A checked line, in the order of `LINE_FIELDS` after the order."""

    position: int
    product_id: int
    description: str
    quantity: int
    unit_price: Decimal
    total_minor: int


LINE_FIELDS = ("order", "position", "product", "description", "quantity", "unit_price", "total_minor")


@dataclass(frozen=True, kw_only=True)
class NewOrder:
    currency: str
    payment_method: str
    ship_to_country: str
    lines: tuple[NewLine, ...]
    #: None for a guest
    customer: NewCustomer | None = None
    source: str = "backoffice"
    #: the sender's own name for the order; unique within the source
    reference: str = ""
    placed_at: datetime | None = None


def line_total_minor(quantity: int, unit_price: Decimal) -> int:
    """Quantity times price, rounded half up to the minor unit: the rule of the feed's source."""
    return int((quantity * unit_price * vocabulary.MINOR_UNITS_PER_MAJOR).quantize(Decimal(1), ROUND_HALF_UP))


def place(new: NewOrder, *, actor: Actor, reason: str = "Order received") -> Order:
    """Store an order. Raises `NotPermitted`, `AlreadyExists`, or `InvalidInput` naming field and limit."""
    actor.require("orders.place_order")
    with transaction.atomic():
        order, lines = build(new, products_of(line.sku for line in new.lines), channel=actor.channel)
        order.number, order.customer = next_number(), _customer(new.customer)
        try:
            with transaction.atomic():
                order.save(force_insert=True)
        except IntegrityError as error:
            if "order_reference" not in str(error):
                raise
            raise AlreadyExists("reference", f"An order {new.reference} from {new.source} exists already.") from error
        copy_rows(OrderLine, LINE_FIELDS, ((order.pk, *line) for line in lines))
        history.record(
            order, EventType.PLACED, actor=actor, reason=reason, status_before="", data=facts_when_placed(order)
        )
    return order


def build(new: NewOrder, products: Mapping[str, Product], *, channel: Channel) -> tuple[Order, list[Line]]:
    """The order, not saved and without number and customer, and its lines. Raises `InvalidInput`."""
    _check_header(new)
    _check_products(new, products)
    lines = [_line(position, line, products[line.sku]) for position, line in enumerate(new.lines, start=1)]
    total = sum(line.total_minor for line in lines)
    if not 0 < total <= vocabulary.MAX_ORDER_TOTAL_MINOR:
        limit = vocabulary.MAX_ORDER_TOTAL_MINOR
        raise InvalidInput("lines", f"The order's total is {total} minor units; it must be 1 to {limit}.")
    now = clock.now()
    order = Order(
        source=new.source,
        reference=new.reference,
        channel=channel,
        currency=new.currency,
        total_minor=total,
        line_count=len(lines),
        payment_method=new.payment_method,
        ship_to_country=new.ship_to_country,
        placed_at=min(new.placed_at or now, now),
    )
    return order, lines


def facts_when_placed(order: Order) -> dict[str, Any]:
    """What the history keeps of an order's beginning."""
    return {"lines": order.line_count, "total_minor": order.total_minor, "currency": order.currency}


def start(order_number: str, *, actor: Actor, reason: str = "Processing requested") -> Command:
    """Ask for the processing of a placed order. Raises `NotPermitted`, `WrongState` or `Order.DoesNotExist`."""
    actor.require("orders.start_order")
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        require_startable(order)
        return start_locked(order, actor=actor, reason=reason)


def start_locked(
    order: Order,
    *,
    actor: Actor,
    reason: str,
    bulk: bool = False,
    batch: Batch | None = None,
    tell_after: timedelta = timedelta(),
) -> Command:
    """`start` for a caller that holds the order's lock or has just placed it in this transaction.

    `bulk` is for one of thousands: it lets others pass. `tell_after` is for a process that starts the order's own by
    itself: the message is then only its guarantee.
    """
    actor.require("orders.start_order")
    command = start_command(order, actor=actor, reason=reason, batch=batch)
    command.save(force_insert=True)
    order.move_to(OrderStatus.QUEUED)
    history.record(
        order,
        EventType.START_REQUESTED,
        actor=actor,
        reason=reason,
        status_before=OrderStatus.PLACED,
        data={"command": str(command.id), **({"batch": str(batch.pk)} if batch else {})},
    )
    hand_over(order, command, bulk=bulk, after=tell_after)
    return command


def hand_over(order: Order, command: Command, *, bulk: bool = False, after: timedelta = timedelta()) -> None:
    """Tell Temporal to start the order's process; any number of times starts it once.

    The caller holds the order's lock in its transaction.
    """
    body = start_message(order, command)
    outbox.publish(Topic.START_ORDER, aggregate=f"order:{order.id}", body=body, bulk=bulk, after=after)


def start_command(order: Order, *, actor: Actor, reason: str, batch: Batch | None = None) -> Command:
    """The command that starts the order, not saved yet."""
    user = actor.user if actor.user is not None and actor.user.pk else None
    return Command(
        kind=CommandKind.START,
        order=order,
        batch=batch,
        requested_by=user,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        request_id=current_request.request_id.get(),
        reason=reason,
    )


def start_message(order: Order, command: Command) -> dict[str, Any]:
    return {
        "command_id": str(command.id),
        "order_id": str(order.id),
        "number": order.number,
        "customer": customer_tag(order),
    }


def customer_tag(order: Order) -> str:
    """The customer in search attributes. Never a name or a reference: they are plain text, and never forgotten."""
    return f"customer-{order.customer_id}" if order.customer_id else "guest"


def next_number() -> str:
    """The next order number; gaps are possible after a rollback, repeats are not."""
    return next_numbers(1)[0]


def next_numbers(count: int) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('orders_order_number') FROM generate_series(1, %s)", [count])
        return [f"SO-{row[0]}" for row in cursor.fetchall()]


def newest_number() -> int:
    """The number that was given last, by whomever; 0 before the first."""
    with connection.cursor() as cursor:
        # The accounts of web and worker may use the sequence, not select from it.
        cursor.execute("SELECT coalesce(pg_sequence_last_value('orders_order_number'), 0)")
        return int(cursor.fetchone()[0])


def require_startable(order: Order) -> None:
    """Raise `WrongState` that says why, and who was first, unless the order is placed."""
    if order.status != OrderStatus.PLACED:
        raise WrongState(_why_not_startable(order))


def _why_not_startable(order: Order) -> str:
    begun = order.commands.filter(kind=CommandKind.START).first()
    if begun is None:
        return f"Order {order.number} is {order.status}; only a placed order can be started."
    moment = begun.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    return f"Order {order.number} was already started by {begun.actor} at {moment}; it is {order.status} now."


def _check_header(new: NewOrder) -> None:
    if new.currency not in set(Currency):
        raise InvalidInput("currency", f"{new.currency} is not one of {', '.join(Currency)}.")
    if not 1 <= len(new.lines) <= vocabulary.MAX_ORDER_LINES:
        raise InvalidInput("lines", f"{len(new.lines)} lines; an order has 1 to {vocabulary.MAX_ORDER_LINES}.")
    if not new.payment_method:
        raise InvalidInput("payment_method", "A payment method is needed.")


def products_of(skus: Iterable[str]) -> dict[str, Product]:
    return {product.sku: product for product in Product.objects.filter(sku__in=set(skus))}


def _check_products(new: NewOrder, found: Mapping[str, Product]) -> None:
    for position, line in enumerate(new.lines):
        product = found.get(line.sku)
        if product is None:
            raise InvalidInput(f"lines.{position}.sku", f"There is no product {line.sku}.")
        if line.unit_price is None and product.currency != new.currency:
            raise InvalidInput(
                f"lines.{position}.sku", f"{line.sku} is priced in {product.currency}, not {new.currency}."
            )


def _line(position: int, line: NewLine, product: Product) -> Line:
    if not 1 <= line.quantity <= vocabulary.MAX_LINE_QUANTITY:
        raise InvalidInput(
            f"lines.{position - 1}.quantity", f"{line.quantity} is not within 1 to {vocabulary.MAX_LINE_QUANTITY}."
        )
    price = product.unit_price if line.unit_price is None else line.unit_price
    if not price.is_finite() or price != round(price, vocabulary.MAX_PRICE_DECIMALS):
        limit = vocabulary.MAX_PRICE_DECIMALS
        raise InvalidInput(f"lines.{position - 1}.unit_price", f"{price} is not a number of at most {limit} decimals.")
    if not 0 <= price <= vocabulary.MAX_UNIT_PRICE:
        raise InvalidInput(
            f"lines.{position - 1}.unit_price", f"{price} is not within 0 to {vocabulary.MAX_UNIT_PRICE}."
        )
    return Line(
        position=position,
        product_id=product.pk,
        description=(line.description or product.name)[:200],
        quantity=line.quantity,
        unit_price=price,
        total_minor=line_total_minor(line.quantity, price),
    )


def _customer(new: NewCustomer | None) -> Customer | None:
    """The known customer of that reference; the first order makes it, later ones do not rewrite it."""
    if new is None:
        return None
    return customers.known(new.reference, Personal(name=new.name, email=new.email, country=new.country))
