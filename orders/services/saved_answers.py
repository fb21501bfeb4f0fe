"""The saved answers of idempotent requests: encrypted, because they repeat what the client told us about a customer.

An answer must outlive the customer it names: without it a client that asks again would place a second order. So it is
kept, and what it says about an erased customer is replaced.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from django.db.models import Q

from orders.models import Customer, IdempotencyRecord
from orders.models.customer import ERASED
from orders.models.data_key import master_keys
from orders.services.texts.person import Person

#: the number at the end of an order's address
OF_ORDERS = "substring(body->>'location' from '/orders/([^/]+)/$') = ANY(%s)"


def seal(record_id: int, location: str, text: str) -> dict[str, str]:
    """What `IdempotencyRecord.body` holds."""
    key_id, sealed = master_keys().encrypt(text.encode(), place=_place(record_id))
    return {"location": location, "key": key_id, "sealed": base64.b64encode(sealed).decode()}


def unseal(record: IdempotencyRecord) -> tuple[str, str]:
    """Location and text of the answer."""
    body: Mapping[str, str] = record.body or {}
    if "sealed" not in body:  # stored by a version that did not encrypt
        return body["location"], body["text"]
    sealed = base64.b64decode(body["sealed"])
    return body["location"], master_keys().decrypt(body["key"], sealed, place=_place(record.pk)).decode()


def forget(customer: Customer, *, person: Person, order_numbers: Sequence[str]) -> int:
    """Replace what the answers, about these orders and about anything else, say of the person; how many did.

    Answers about orders of others repeat what their own customers told us, and are not opened.
    """
    records = IdempotencyRecord.objects.exclude(status_code=None).order_by("pk")
    about = records.extra(where=[OF_ORDERS], params=[list(order_numbers)])
    others = records.exclude(route="POST /api/orders/")
    return sum(
        _forget(record, customer, person, is_theirs=is_theirs)
        for found, is_theirs in ((about, True), (others, False))
        for record in found.select_for_update()
    )


def _forget(record: IdempotencyRecord, customer: Customer, person: Person, *, is_theirs: bool) -> bool:
    location, text = unseal(record)
    before: Any = json.loads(text)
    answer = dict(before) if isinstance(before, dict) else before
    if is_theirs and isinstance(answer, dict) and isinstance(answer.get("customer"), dict):
        named = dict.fromkeys(("name", "email", "country"), ERASED)
        answer["customer"] = answer["customer"] | named | {"reference": customer.reference}
    elif is_theirs and isinstance(answer, dict) and "customer" in answer:
        answer["customer"] = customer.reference
    answer = person.clean_value(answer)
    if answer == before and person.clean(location) == location:
        return False
    text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)
    record.body = seal(record.pk, person.clean(location), text)
    record.save(update_fields=["body"])
    return True


def forget_addresses(customer: Customer, *, old_reference: str) -> int:
    """Replace the reference in the addresses of requests, this erasure's own among them."""
    addresses = {quote(old_reference, safe=""), quote(old_reference), old_reference}
    named = Q(pk__in=[])
    for address in addresses:
        named |= Q(route__contains=f"/customers/{address}/")
    return IdempotencyRecord.objects.filter(named).update(route=f"POST /api/customers/{customer.reference}/erase/")


def _place(record_id: int) -> str:
    return f"orders_idempotencyrecord.body of {record_id}"
