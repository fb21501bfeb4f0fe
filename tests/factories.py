"""Plain functions that make domain objects the way the product makes them: through its services."""

import itertools
from decimal import Decimal
from typing import Any

from orders.actor import Actor, system
from orders.models import Order, Product, StockItem
from orders.services import placing, process, stock
from orders.vocabulary import Channel, FailureType, OrderStatus

TEST_ACTOR: Actor = system("test", Channel.CLI)
_numbers = itertools.count(1)


def make_product(sku: str = "", *, stock: int = 100, unit_price: str = "10.00", currency: str = "GBP") -> Product:
    product = Product.objects.create(
        sku=sku or f"SKU-{next(_numbers)}", name="Lantern", unit_price=Decimal(unit_price), currency=currency
    )
    StockItem.objects.create(product=product, received=stock, on_hand=stock)
    return product


def make_order(
    *,
    product: Product | None = None,
    quantity: int = 2,
    payment_method: str = "pm_card_visa",
    country: str = "GB",
    guest: bool = False,
    started: bool = False,
) -> Order:
    """A placed order of one line; `started` also asks for its processing."""
    product = product or make_product()
    customer = None if guest else placing.NewCustomer(reference=f"C-{next(_numbers)}", name="Ada Buyer")
    order = placing.place(
        placing.NewOrder(
            currency=product.currency,
            payment_method=payment_method,
            ship_to_country=country,
            customer=customer,
            lines=(placing.NewLine(sku=product.sku, quantity=quantity),),
        ),
        actor=TEST_ACTOR,
    )
    if started:
        placing.start(order.number, actor=TEST_ACTOR)
        order.refresh_from_db()
    return order


def make_reserved_order(*, then: OrderStatus = OrderStatus.CHECKING, **options: Any) -> Order:
    """An order whose process has begun: its run adopted, validated, stock reserved; the fraud check comes next."""
    order = make_order(started=True, **options)
    process.adopt(str(order.id), run_id=f"run-{order.id}")
    process.validate(str(order.id), actor=TEST_ACTOR)
    stock.reserve(str(order.id), actor=TEST_ACTOR, then=then)
    order.refresh_from_db()
    return order


def begin_undo(order: Order) -> None:
    """Bring the order to where its steps are undone, as if a person had cancelled it."""
    process.begin_undo(str(order.pk), failure_type=FailureType.CANCELLED, message="Changed her mind", actor=TEST_ACTOR)


def make_prepared_order(**options: Any) -> Order:
    """A reserved order that nobody finds suspicious; the payment comes next."""
    return make_reserved_order(then=OrderStatus.CHARGING, **options)
