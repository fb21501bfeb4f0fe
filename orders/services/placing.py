"""Taking orders in, and asking for their processing.

Both write everything in one transaction: the order with its lines and history, and for a start the command and the
outbox row that carries it to Temporal. The request that asked never waits for Temporal.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from orders import history, outbox, vocabulary
from orders.actor import Actor
from orders.errors import AlreadyExists, InvalidInput, WrongState
from orders.models import Batch, Command, Customer, Order, OrderLine, Product
from orders.models.customer import Personal
from orders.services import customers
from orders.vocabulary import CommandKind, Currency, EventType, OrderStatus, Topic


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
    _check_header(new)
    with transaction.atomic():
        products = _products(new)
        lines = [_line(position, line, products[line.sku]) for position, line in enumerate(new.lines, start=1)]
        total = sum(line.total_minor for line in lines)
        if not 0 < total <= vocabulary.MAX_ORDER_TOTAL_MINOR:
            limit = vocabulary.MAX_ORDER_TOTAL_MINOR
            raise InvalidInput("lines", f"The order's total is {total} minor units; it must be 1 to {limit}.")
        order = Order(
            number=next_number(),
            source=new.source,
            reference=new.reference,
            channel=actor.channel,
            customer=_customer(new.customer),
            currency=new.currency,
            total_minor=total,
            line_count=len(lines),
            payment_method=new.payment_method,
            ship_to_country=new.ship_to_country,
            placed_at=new.placed_at or timezone.now(),
        )
        try:
            with transaction.atomic():
                order.save(force_insert=True)
        except IntegrityError as error:
            if "order_reference" not in str(error):
                raise
            raise AlreadyExists("reference", f"An order {new.reference} from {new.source} exists already.") from error
        for line in lines:
            line.order = order
        OrderLine.objects.bulk_create(lines, batch_size=500)
        history.record(
            order,
            EventType.PLACED,
            actor=actor,
            reason=reason,
            status_before="",
            data={"lines": len(lines), "total_minor": total, "currency": order.currency},
        )
    return order


def start(order_number: str, *, actor: Actor, reason: str = "Processing requested") -> Command:
    """Ask for the processing of a placed order. Raises `NotPermitted`, `WrongState` or `Order.DoesNotExist`."""
    actor.require("orders.start_order")
    with transaction.atomic():
        order = Order.objects.select_for_update().get(number=order_number)
        require_startable(order)
        return start_locked(order, actor=actor, reason=reason)


def start_locked(
    order: Order, *, actor: Actor, reason: str, batch: Batch | None = None, tell_after: timedelta = timedelta()
) -> Command:
    """`start` for a caller that holds the order's lock or has just placed it in this transaction.

    `tell_after` is for a process that starts the order's own by itself: the message is then only its guarantee.
    """
    actor.require("orders.start_order")
    user = actor.user if actor.user is not None and actor.user.pk else None
    command = Command.objects.create(
        kind=CommandKind.START,
        order=order,
        batch=batch,
        requested_by=user,  # type: ignore[misc]
        actor=actor.name,
        channel=actor.channel,
        reason=reason,
    )
    order.move_to(OrderStatus.QUEUED)
    history.record(
        order,
        EventType.START_REQUESTED,
        actor=actor,
        reason=reason,
        status_before=OrderStatus.PLACED,
        data={"command": str(command.id), **({"batch": str(batch.pk)} if batch else {})},
    )
    outbox.publish(
        Topic.START_ORDER,
        aggregate=f"order:{order.id}",
        body={
            "command_id": str(command.id),
            "order_id": str(order.id),
            "number": order.number,
            "customer": customer_tag(order),
        },
        after=tell_after,
    )
    return command


def customer_tag(order: Order) -> str:
    """The customer in search attributes. Never a name or a reference: they are plain text, and never forgotten."""
    return f"customer-{order.customer_id}" if order.customer_id else "guest"


def next_number() -> str:
    """The next order number; gaps are possible after a rollback, repeats are not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('orders_order_number')")
        return f"SO-{cursor.fetchone()[0]}"


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


def _products(new: NewOrder) -> dict[str, Product]:
    wanted = {line.sku for line in new.lines}
    found = {product.sku: product for product in Product.objects.filter(sku__in=wanted)}
    for position, line in enumerate(new.lines):
        product = found.get(line.sku)
        if product is None:
            raise InvalidInput(f"lines.{position}.sku", f"There is no product {line.sku}.")
        if line.unit_price is None and product.currency != new.currency:
            raise InvalidInput(
                f"lines.{position}.sku", f"{line.sku} is priced in {product.currency}, not {new.currency}."
            )
    return found


def _line(position: int, line: NewLine, product: Product) -> OrderLine:
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
    return OrderLine(
        position=position,
        product=product,
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
