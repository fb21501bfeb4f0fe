"""What staff and playbooks give an order besides its process: tags, vouchers, and partner endpoints by name."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q

from orders import clock
from orders.models.order import Order
from orders.models.rules import check, never_deleted, one_of, word_field
from orders.vocabulary import Currency


class OrderTag(models.Model):
    """A word on an order; the history says who put it there and took it away."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="tags")
    tag = models.CharField(max_length=40)
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["tag"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["order", "tag"], name="order_tag_once")]

    def __str__(self) -> str:
        return self.tag


class Voucher(models.Model):
    """Money off a later order, for the customer of this one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=40, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="vouchers")
    amount_minor = models.BigIntegerField()
    currency = word_field(Currency)
    #: what it was issued for, once: "<run>:<path>"
    key = models.CharField(max_length=260, unique=True)
    reason = models.CharField(max_length=500)
    made_by = models.CharField(max_length=150)
    #: against whose limit of a day it counts
    issued_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=clock.now)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view",)
        triggers = never_deleted()
        constraints = [
            one_of("voucher", "currency", Currency),
            check("voucher_amount_positive", Q(amount_minor__gt=0)),
        ]

    def __str__(self) -> str:
        # Titles and breadcrumbs are for everybody who may see the row.
        return f"Voucher of {self.order.number}"


class PartnerEndpoint(models.Model):
    """An address that playbooks may call by its name; nobody who writes a playbook types an address."""

    name = models.SlugField(max_length=40, unique=True)
    url = models.URLField(max_length=300)
    enabled = models.BooleanField(default=True)
    made_by = models.CharField(max_length=150)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]
        default_permissions = ("view", "add", "change")

    def __str__(self) -> str:
        return self.name
