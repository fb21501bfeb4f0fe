"""Placed orders by the hundred thousand, for trying things at size: written in bulk, with the history of real ones.

Placing them one by one takes minutes for each ten thousand. These are like the demo orders, one line each, from guests
and from the demo's buyers, and their hash chains hold.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from decimal import Decimal

from django.db import connection, transaction

from orders import clock, history
from orders.actor import Actor
from orders.models import Customer, Order, OrderEvent, OrderLine, Product
from orders.models.customer import Personal
from orders.services import customers
from orders.services.demo import BUYERS, CATALOGUE, COUNTRIES, SOURCE, ensure_catalogue
from orders.services.placing import line_total_minor
from orders.vocabulary import Currency, EventType

AT_ONCE = 1_000


def seed(*, count: int, seed: int, actor: Actor, on_progress: Callable[[int], None] = lambda made: None) -> int:
    """Place `count` orders and answer how many; the same seed makes the same orders, under new numbers."""
    ensure_catalogue()
    draw = random.Random(seed)
    products = list(Product.objects.filter(sku__in=CATALOGUE, currency=Currency.GBP).order_by("sku"))
    buyers = _buyers()
    made = 0
    while made < count:
        made += _place(min(AT_ONCE, count - made), draw, products, buyers, actor)
        on_progress(made)
    return made


def _buyers() -> list[Customer]:
    with transaction.atomic():
        return [
            customers.known(f"DEMO-{position}", Personal(name=name)) for position, name in enumerate(BUYERS, start=1)
        ]


def _place(count: int, draw: random.Random, products: list[Product], buyers: list[Customer], actor: Actor) -> int:
    now = clock.now()
    orders: list[Order] = []
    lines: list[OrderLine] = []
    events: list[OrderEvent] = []
    with transaction.atomic():
        for number in _numbers(count):
            product, quantity = draw.choice(products), draw.randint(1, 3)
            total = line_total_minor(quantity, Decimal(product.unit_price))
            order = Order(
                number=f"SO-{number}",
                source=f"{SOURCE}-at-size",
                channel=actor.channel,
                customer=None if draw.random() < 0.1 else draw.choice(buyers),
                currency=Currency.GBP,
                total_minor=total,
                line_count=1,
                payment_method="pm_card_visa",
                ship_to_country=draw.choice(COUNTRIES),
                placed_at=now,
            )
            line = OrderLine(
                order=order,
                position=1,
                product=product,
                description=product.name,
                quantity=quantity,
                unit_price=product.unit_price,
                total_minor=total,
            )
            data = {"lines": 1, "total_minor": total, "currency": order.currency.value}
            event = history.next_event(
                order, EventType.PLACED, actor=actor, reason="Made to try things at size", status_before="", data=data
            )
            orders.append(order)
            lines.append(line)
            events.append(event)
        Order.objects.bulk_create(orders, batch_size=AT_ONCE)
        OrderLine.objects.bulk_create(lines, batch_size=AT_ONCE)
        OrderEvent.objects.bulk_create(events, batch_size=AT_ONCE)
    return len(orders)


def _numbers(count: int) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('orders_order_number') FROM generate_series(1, %s)", [count])
        return [number for (number,) in cursor.fetchall()]
