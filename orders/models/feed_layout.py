"""Layouts that staff map themselves: which column of a sender's file is which of our fields.

A layout is never edited, its name gets a new version: the import of last month stays explained by the columns it was
read with, and one that is under way is not read by two mappings.
"""

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.rules import append_only, check, one_of, word_field
from orders.models.typed_words import TypedField, TypedRows
from orders.vocabulary import Currency, DateFormat, PriceMeaning


class FeedLayout(models.Model):
    """One version of one layout; the newest of a name counts."""

    version = models.AutoField(primary_key=True)
    #: also `Order.source` of what comes from such files
    name = models.SlugField(max_length=40)
    #: our field -> the column's name in the header; checked by the service
    columns = models.JSONField()
    date_format = word_field(DateFormat, default=DateFormat.ISO)
    decimal_comma = models.BooleanField(default=False)
    price_means = word_field(PriceMeaning, default=PriceMeaning.UNIT_PRICE)
    #: pieces of a line where no column says it
    default_quantity = models.PositiveIntegerField(default=1)
    #: country of an order where no column says it
    default_country = models.CharField(max_length=80, blank=True)
    currency = word_field(Currency)
    #: the gateway's token that pays for these orders
    payment_method = models.CharField(max_length=128)
    #: invoice numbers that begin with this are credit notes; empty when there are none
    credit_note_prefix = models.CharField(max_length=8, blank=True)
    made_by = models.CharField(max_length=150)
    reason = TypedField(max_length=500)
    created_at = models.DateTimeField(default=clock.now)

    objects = TypedRows.as_manager()

    class Meta:
        ordering = ["-version"]
        default_permissions = ("view", "add")
        triggers = append_only()
        constraints = [
            one_of("feed_layout", "date_format", DateFormat),
            one_of("feed_layout", "price_means", PriceMeaning),
            one_of("feed_layout", "currency", Currency),
            check("feed_layout_quantity_positive", Q(default_quantity__gte=1)),
            check("feed_layout_has_author_and_reason", ~Q(made_by="") & ~Q(reason="")),
        ]

    def __str__(self) -> str:
        return f"{self.name}, version {self.version}"
