"""What the hashes of a seal cover, byte for byte, so that an outsider can compute them from an export alone.

`heads_hash` is the sha256 over one line for each head, in the order of the order ids:
`<order id> <order number> <sequence> <hash>` and a line feed. `hash` is the sha256 over the seal's own fields as
canonical JSON (sorted keys, no spaces), among them `heads_hash` and the hash of the seal before.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

from orders.models import HistorySeal

HASHED_FIELDS = (
    "sequence",
    "day",
    "order_count",
    "event_count",
    "head_count",
    "heads_hash",
    "previous_hash",
    "actor",
    "created_at",
)


class HeadsHash:
    """The hash over the heads of one seal; takes them one by one, so that no day is too large."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, order_id: str, order_number: str, sequence: int, head: str) -> None:
        self._hash.update(f"{order_id} {order_number} {sequence} {head}\n".encode())

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def fields_of(seal: HistorySeal) -> dict[str, Any]:
    """The hashed fields as they stand in an export."""
    fields = {name: getattr(seal, name) for name in HASHED_FIELDS}
    fields["day"] = seal.day.isoformat()
    fields["created_at"] = seal.created_at.astimezone(UTC).isoformat(timespec="microseconds")
    return fields


def seal_hash(fields: Mapping[str, Any]) -> str:
    canonical = json.dumps(dict(fields), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
