"""Customers. What names a person is encrypted with a key of that customer's own, so that it can be forgotten.

Orders, history and books must stay, and backups and dead rows cannot be searched for a name. So the row keeps only what
was encrypted; when the key is destroyed, every copy of it is unreadable. Without a key for each customer, erasing one
would mean rewriting rows that must not change.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property

from django.db import models
from django.db.models import Q

from orders import clock, keyring
from orders.models.data_key import DataKey
from orders.models.rules import check

#: shown instead of what was erased
ERASED = "erased"


@dataclass(frozen=True, kw_only=True)
class Personal:
    """What a customer told us about themselves."""

    name: str = ""
    email: str = ""
    country: str = ""


class CustomerKey(DataKey):
    """The data key of one customer."""

    class Meta(DataKey.Meta):
        pass

    @property
    def _personal_place(self) -> str:
        # The key stands for the row: each customer has one, and it is known before the row has a number.
        return f"orders_customer.personal under {self.id}"

    def encrypt(self, personal: Personal) -> bytes:
        return keyring.encrypt(self.secret, json.dumps(asdict(personal)).encode(), place=self._personal_place)

    def decrypt(self, sealed: bytes) -> Personal:
        """Raises `keyring.Unreadable`."""
        return Personal(**json.loads(keyring.decrypt(self.secret, sealed, place=self._personal_place)))


class Customer(models.Model):
    """A known buyer; guests have no row. Read it with `select_related("key")`, or each name costs a query."""

    #: the sender's own name for the customer; replaced when the customer is erased
    reference = models.CharField(max_length=64, unique=True)
    #: `Personal`, encrypted with `key`; empty when erased
    personal = models.BinaryField(default=b"")
    key = models.OneToOneField(
        CustomerKey, on_delete=models.PROTECT, null=True, blank=True, related_name="customer", editable=False
    )
    created_at = models.DateTimeField(default=clock.now, editable=False)
    erased_at = models.DateTimeField(null=True, blank=True)
    #: keyed digest of the reference that an erased customer had: to answer a second request, and later credit notes
    erased_digest = models.CharField(max_length=64, blank=True, db_index=True)

    class Meta:
        permissions = [("erase_customer", "May erase the personal data of customers")]
        default_permissions = ("view",)
        constraints = [
            check(
                "customer_erased_has_no_key",
                Q(erased_at__isnull=True, key__isnull=False, erased_digest="")
                | Q(erased_at__isnull=False, key__isnull=True, personal=b"") & ~Q(erased_digest=""),
            )
        ]

    def __str__(self) -> str:
        return self.name or self.reference

    @cached_property
    def _known(self) -> Personal:
        if self.key is None:
            return Personal(name=ERASED, email=ERASED, country=ERASED)
        return self.key.decrypt(bytes(self.personal))

    @property
    def name(self) -> str:
        return self._known.name

    @property
    def email(self) -> str:
        return self._known.email

    @property
    def country(self) -> str:
        return self._known.country
