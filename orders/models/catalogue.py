"""Products and their stock.

Stock is conserved by a CHECK (`received = on_hand + shipped`): without it, one forgotten column in one service makes
units appear or vanish and nobody can say when.
"""

import pghistory
from django.db import models
from django.db.models import F, Q

from orders import clock
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import Currency


@pghistory.track(append_only=True)
class Product(models.Model):
    """Something we sell. Staff edit it; every version is kept."""

    sku = models.CharField("SKU", max_length=64, unique=True)
    name = models.CharField(max_length=200, blank=True)
    #: price of one piece in major units; a rate with up to four decimals, rounded only in a line's total
    unit_price = models.DecimalField(max_digits=14, decimal_places=4)
    currency = word_field(Currency, default=Currency.GBP)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        constraints = [
            one_of("product", "currency", Currency),
            check("product_price_not_negative", Q(unit_price__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.sku} {self.name}".strip()


class StockItem(models.Model):
    """Pieces of one product. `reserved` is the part of `on_hand` promised to orders under way."""

    product = models.OneToOneField(Product, on_delete=models.PROTECT, related_name="stock", primary_key=True)
    received = models.BigIntegerField(default=0)
    on_hand = models.BigIntegerField(default=0)
    reserved = models.BigIntegerField(default=0)
    shipped = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            check("stock_reserved_within_on_hand", Q(reserved__gte=0, reserved__lte=F("on_hand"))),
            check("stock_not_negative", Q(on_hand__gte=0, shipped__gte=0, received__gte=0)),
            check("stock_conserved", Q(received=F("on_hand") + F("shipped"))),
        ]

    @property
    def available(self) -> int:
        return self.on_hand - self.reserved

    def __str__(self) -> str:
        return f"{self.product.sku}: {self.available} available"
