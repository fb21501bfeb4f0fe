"""Demo data of our own making, so that the first page a newcomer opens is alive.

The orders go the same road as real ones, and some are meant to go wrong: a declined card, a bank that asks the customer
first, a payment that is disputed, too little stock, a country that the carrier does not serve.
"""

import random
from decimal import Decimal
from typing import Any

from django.db import transaction

from orders.actor import Actor
from orders.models import Order, Product, StockItem
from orders.services import placing
from orders.vocabulary import Currency

CATALOGUE = {
    "DEMO-LANTERN": ("Storm lantern, brass", "24.50", 5_000),
    "DEMO-KETTLE": ("Enamel kettle, 2 l", "31.95", 5_000),
    "DEMO-BLANKET": ("Wool blanket, grey", "58.00", 5_000),
    "DEMO-MUG": ("Stoneware mug", "7.25", 20_000),
    "DEMO-CANDLE": ("Beeswax candles, box of 12", "14.40", 20_000),
    "DEMO-AXE": ("Hand axe, hickory", "46.00", 2_000),
    "DEMO-ROPE": ("Hemp rope, per metre", "0.855", 90_000),
    "DEMO-STOVE": ("Camping stove", "89.00", 1_500),
    "DEMO-TENT": ("Canvas tent, four persons", "420.00", 400),
    "DEMO-CLOCK": ("Carriage clock, the last three", "310.00", 3),
}
BUYERS = ("Harbour Stores", "Mill & Sons", "Northgate Gifts", "The Corner House", "Old Quay Trading", "Fern Lodge")
COUNTRIES = ("United Kingdom", "Ireland", "France", "Germany", "Netherlands")
SOURCE = "demo"


def sample_order() -> dict[str, Any]:
    """A body that `POST /api/orders/` takes as it is."""
    return {
        "customer": {"reference": "SAMPLE-1", "name": "Sample Shop"},
        "currency": Currency.GBP.value,
        "payment_method": "pm_card_visa",
        "ship_to_country": "United Kingdom",
        "lines": [{"sku": "DEMO-MUG", "quantity": 2}, {"sku": "DEMO-CANDLE", "quantity": 1}],
    }


def ensure_catalogue() -> None:
    """Make the demo products that are missing, each with its stock."""
    for sku, (name, price, pieces) in CATALOGUE.items():
        with transaction.atomic():
            product, made = Product.objects.get_or_create(
                sku=sku, defaults={"name": name, "unit_price": Decimal(price), "currency": Currency.GBP}
            )
            if made:
                StockItem.objects.create(product=product, received=pieces, on_hand=pieces)


def place_orders(*, count: int, seed: int, actor: Actor) -> list[Order]:
    """Place `count` orders and start all but the last four; the same seed makes the same orders."""
    draw = random.Random(seed)
    orders = []
    for number in range(1, count + 1):
        start = number <= count - 4
        with transaction.atomic():
            order = placing.place(_order(number, draw), actor=actor, reason="Demo order")
            if start:
                placing.start_locked(order, actor=actor, reason="Demo order")
        orders.append(order)
    return orders


def _order(number: int, draw: random.Random) -> placing.NewOrder:
    skus = draw.sample([sku for sku in CATALOGUE if sku != "DEMO-CLOCK"], draw.randint(1, 4))
    lines = tuple(placing.NewLine(sku=sku, quantity=draw.randint(1, 12)) for sku in skus)
    buyer = draw.choice(BUYERS)
    payment_method, country = "pm_card_visa", draw.choice(COUNTRIES)
    match number:
        case 5:
            payment_method = "pm_card_chargeDeclined"
        case 7:
            payment_method = "pm_card_authenticationRequired"
        case 9:
            lines = (placing.NewLine(sku="DEMO-CLOCK", quantity=5),)
        case 14:
            payment_method = "pm_card_chargeDeclinedInsufficientFunds"
        case 11:
            payment_method = "pm_bacsDebit_success"
        case 17:
            payment_method = "pm_card_createDispute"
        case 20:
            country = "AQ"
    guest = number % 6 == 0
    return placing.NewOrder(
        currency=Currency.GBP,
        payment_method=payment_method,
        ship_to_country=country,
        lines=lines,
        customer=None if guest else placing.NewCustomer(reference=f"DEMO-{BUYERS.index(buyer) + 1}", name=buyer),
        source=SOURCE,
        reference=f"DEMO-{number:03}",
    )
