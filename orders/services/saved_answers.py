"""The saved answers of idempotent requests: encrypted, because they repeat what the client told us about a customer.

An answer must outlive the customer it names: without it a client that asks again would place a second order. So it is
kept, and what it says about an erased customer is replaced.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from orders.models import Customer, IdempotencyRecord
from orders.models.customer import ERASED
from orders.models.data_key import master_keys

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


def forget(customer: Customer, *, old_reference: str, order_numbers: Sequence[str]) -> None:
    """Replace what the answers about these orders, and the addresses asked for, say about the customer."""
    records = IdempotencyRecord.objects.extra(where=[OF_ORDERS], params=[list(order_numbers)])
    for record in records.exclude(status_code=None).select_for_update():
        location, text = unseal(record)
        answer: dict[str, Any] = json.loads(text)
        if isinstance(answer.get("customer"), dict):
            answer["customer"] |= dict.fromkeys(("name", "email", "country"), ERASED)
            answer["customer"]["reference"] = customer.reference
        elif "customer" in answer:
            answer["customer"] = customer.reference
        record.body = seal(record.pk, location, json.dumps(answer, separators=(",", ":"), ensure_ascii=False))
        record.save(update_fields=["body"])
    forget_addresses(customer, old_reference=old_reference)


def forget_addresses(customer: Customer, *, old_reference: str) -> None:
    """Replace the reference in the addresses of requests, this erasure's own among them."""
    IdempotencyRecord.objects.filter(route__contains=f"/customers/{old_reference}/").update(
        route=f"POST /api/customers/{customer.reference}/erase/"
    )


def _place(record_id: int) -> str:
    return f"orders_idempotencyrecord.body of {record_id}"
