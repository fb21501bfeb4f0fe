"""Credit notes that a feed brings in: documents about money owed back, matched to the order they correct."""

from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.customer import Customer
from orders.models.order import Order
from orders.models.rules import check, one_of, word_field
from orders.vocabulary import Currency


class CreditNote(models.Model):
    source = models.CharField(max_length=64)
    number = models.CharField(max_length=64)
    customer = models.ForeignKey(Customer, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_notes")
    #: the earlier order of the customer that covers every line, or none: then it is listed as unmatched
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="credit_notes")
    currency = word_field(Currency)
    total_minor = models.BigIntegerField()
    issued_at = models.DateTimeField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["-issued_at", "-id"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["source", "number"], name="credit_note_number"),
            one_of("credit_note", "currency", Currency),
            check("credit_note_total_not_negative", Q(total_minor__gte=0)),
        ]

    def __str__(self) -> str:
        return self.number


class CreditNoteLine(models.Model):
    credit_note = models.ForeignKey(CreditNote, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveIntegerField()
    sku = models.CharField("SKU", max_length=64)
    description = models.CharField(max_length=200, blank=True)
    #: pieces taken back, positive
    quantity = models.BigIntegerField()
    unit_price = models.DecimalField(max_digits=14, decimal_places=4)
    total_minor = models.BigIntegerField()

    class Meta:
        ordering = ["credit_note", "position"]
        constraints = [
            models.UniqueConstraint(fields=["credit_note", "position"], name="credit_line_position"),
            check("credit_line_quantity_not_negative", Q(quantity__gte=0, total_minor__gte=0)),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.sku}"
