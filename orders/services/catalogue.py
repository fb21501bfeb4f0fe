"""Changing a product. A price that moves far waits for a second person: a lost decimal point sells the shop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.db import transaction

from orders import vocabulary
from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Product
from orders.services import approvals

#: a new price of more than this times the old one, or less than a part of it, is far
FAR = 2


def change_product(sku: str, *, name: str, unit_price: Decimal, actor: Actor, reason: str = "") -> Approval | None:
    """Change name and price; None when it is done, the request when it waits for a second person.

    Raises `NotPermitted`, `InvalidInput`, `WrongState` or `Product.DoesNotExist`.
    """
    actor.require("orders.change_product")
    check_price(unit_price)
    with transaction.atomic():
        product = lock_product(sku)
        if not is_far(product.unit_price, unit_price):
            _save(product, name, unit_price)
            return None
        return approvals.ask(
            "change_product",
            subject=sku,
            says=f"Change the price of {sku} from {product.unit_price} to {unit_price} {product.currency}.",
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


def check_price(price: Decimal) -> None:
    if not price.is_finite() or not 0 <= price <= vocabulary.MAX_UNIT_PRICE:
        raise InvalidInput("unit_price", f"{price} is not within 0 to {vocabulary.MAX_UNIT_PRICE}.")
    if price != round(price, vocabulary.MAX_PRICE_DECIMALS):
        raise InvalidInput("unit_price", f"{price} has more than {vocabulary.MAX_PRICE_DECIMALS} decimals.")


def _save(product: Product, name: str, unit_price: Decimal) -> None:
    product.name, product.unit_price = name, unit_price
    product.save(update_fields=["name", "unit_price"])
