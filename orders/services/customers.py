"""Finding the customer of a reference, and making the customer with a key of their own.

The row is locked with KEY SHARE, as the order's foreign key does a moment later. Without it an order could be attached
to a customer who is being erased at that moment, and show nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

from django.db import IntegrityError, transaction

from orders.models import Customer, CustomerKey
from orders.models.customer import Personal
from orders.models.data_key import master_keys

DIGEST_PURPOSE = "customer reference"
# After waiting for an erasure PostgreSQL reads the row again, whose reference is another one then.
ALL_LOCKED = "SELECT * FROM orders_customer WHERE reference = ANY(%s) ORDER BY id FOR KEY SHARE"
LOCKED = "SELECT * FROM orders_customer WHERE reference = %s FOR KEY SHARE"


def known(reference: str, personal: Personal) -> Customer:
    """The customer of that reference; the first order makes it, later ones do not rewrite it.

    Runs in the caller's transaction.
    """
    customer = _locked(reference)
    if customer is not None:
        return customer
    try:
        with transaction.atomic():
            key = CustomerKey.new()
            key.save(force_insert=True)
            return Customer.objects.create(reference=reference, key=key, personal=key.encrypt(personal))
    except IntegrityError:
        # Another order of the same new customer was first.
        customer = _locked(reference)
        if customer is None:
            raise
        return customer


def all_known(personal: Mapping[str, Personal]) -> dict[str, Customer]:
    """`known` for many references at once. Runs in the caller's transaction."""
    # In one order everywhere, so that two imports never wait for each other's customers.
    found = Customer.objects.raw(ALL_LOCKED, [list(personal)])
    customers = {customer.reference: customer for customer in found}
    for reference in sorted(personal.keys() - customers.keys()):
        customers[reference] = known(reference, personal[reference])
    return customers


def erased(reference: str) -> Customer | None:
    """The customer who had that reference before being erased; the last one if it was erased twice."""
    digests = master_keys().digests(reference, purpose=DIGEST_PURPOSE)
    return Customer.objects.filter(erased_digest__in=digests).order_by("-erased_at").first()


def digest(reference: str) -> str:
    return master_keys().digests(reference, purpose=DIGEST_PURPOSE)[0]


def _locked(reference: str) -> Customer | None:
    return next(iter(Customer.objects.raw(LOCKED, [reference])), None)
