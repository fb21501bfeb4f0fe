"""Changing a product. A price that moves far waits for a second person: a lost decimal point sells the shop.

How far is counted from what the price was a day and a month ago, whoever changed it since: halved seven times is far.
A price that two people agreed on is counted from anew.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.apps import apps
from django.db import transaction

from orders import clock, vocabulary
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Product
from orders.services import approvals
from orders.vocabulary import ApprovalStatus

#: a new price of more than this times the old one, or less than a part of it, is far
FAR = 2
#: how far back a price is compared, besides with what it is now
WINDOWS = (timedelta(days=1), timedelta(days=30))


def change_product(sku: str, *, name: str, unit_price: Decimal, actor: Actor, reason: str = "") -> Approval | None:
    """Change name and price; None when it is done, the request when it waits for a second person.

    Raises `NotPermitted`, `InvalidInput`, `WrongState` or `Product.DoesNotExist`.
    """
    actor.require("orders.change_product")
    check_price(unit_price)
    with transaction.atomic():
        product = lock_product(sku)
        far_from = [price for price in _prices_before(product) if is_far(price, unit_price)]
        if unit_price == product.unit_price or not far_from:
            _save(product, name, unit_price)
            return None
        steps = "" if product.unit_price in far_from else f" It was {far_from[0]} before the last changes."
        return approvals.ask(
            "change_product",
            subject=sku,
            says=f"Change the price of {sku} from {product.unit_price} to {unit_price} {product.currency}.{steps}",
            parameters={"sku": sku, "name": name, "unit_price": str(unit_price), "was": str(product.unit_price)},
            reason=reason or "A price that moves far",
            actor=actor,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved change. Raises `WrongState` when the price is not the one it was asked in view of."""
    actor.require("orders.change_product")
    product = lock_product(parameters["sku"])
    if product.unit_price != Decimal(parameters["was"]):
        raise WrongState(f"The price is {product.unit_price} by now, not {parameters['was']}; ask again.")
    _save(product, parameters["name"], Decimal(parameters["unit_price"]))


def lock_product(sku: str) -> Product:
    """The product's row, locked; order lines of it may be written meanwhile. Raises `Product.DoesNotExist`."""
    return Product.objects.select_for_update(no_key=True).get(sku=sku)


def is_far(old: Decimal, new: Decimal) -> bool:
    return new != old and (new > old * FAR or new * FAR < old)


def _prices_before(product: Product) -> list[Decimal]:
    """What the price is now, and was at the beginning of each window or when two people last agreed on it since."""
    agreed = Approval.objects.filter(command="change_product", subject=product.sku, status=ApprovalStatus.DONE)
    last = agreed.order_by("-decided_at").first()
    prices = [product.unit_price]
    for window in WINDOWS:
        begins = clock.now() - window
        if last is not None and last.decided_at is not None and last.decided_at > begins:
            prices.append(Decimal(last.parameters["unit_price"]))
        else:
            prices.append(_price_at(product, begins))
    return prices


def _price_at(product: Product, moment: datetime) -> Decimal:
    """As the product's versions have it; the first one for a moment before it."""
    versions = apps.get_model("orders", "ProductEvent").objects.filter(pgh_obj_id=product.pk)
    then = versions.filter(pgh_created_at__lte=moment).order_by("-pgh_id").first()
    then = then or versions.order_by("pgh_id").first()
    return Decimal(then.unit_price) if then is not None else product.unit_price


def check_price(price: Decimal) -> None:
    if not price.is_finite() or not 0 <= price <= vocabulary.MAX_UNIT_PRICE:
        raise InvalidInput("unit_price", f"{price} is not within 0 to {vocabulary.MAX_UNIT_PRICE}.")
    if price != round(price, vocabulary.MAX_PRICE_DECIMALS):
        raise InvalidInput("unit_price", f"{price} has more than {vocabulary.MAX_PRICE_DECIMALS} decimals.")


def _save(product: Product, name: str, unit_price: Decimal) -> None:
    product.name, product.unit_price = name, unit_price
    product.save(update_fields=["name", "unit_price"])
