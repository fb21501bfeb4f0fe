"""What the hashes of a seal cover, byte for byte, so that an outsider can compute them from an export alone.

`heads_hash` is the sha256 over one line for each head, in the order of the order ids:
`<order id> <order number> <sequence> <hash>` and a line feed. `logs_hash` is the same over one line for each log, in
the order of their names: `<log> <since> <until> <count> <hash>`. `hash` is the sha256 over the seal's own fields as
canonical JSON (sorted keys, no spaces), among them these two and the hash of the seal before. Older seals have no
`logs_hash`, and it is left out of theirs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from orders.models import HistorySeal, SealedLog

HASHED_FIELDS = (
    "sequence",
    "day",
    "order_count",
    "event_count",
    "head_count",
    "heads_hash",
    "logs_hash",
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


def log_line(sealed: SealedLog) -> str:
    return f"{sealed.log} {exactly(sealed.since)} {exactly(sealed.until)} {sealed.row_count} {sealed.rows_hash}\n"


def logs_hash(logs: Iterable[SealedLog]) -> str:
    """Empty without logs."""
    lines = "".join(log_line(sealed) for sealed in sorted(logs, key=lambda one: one.log))
    return hashlib.sha256(lines.encode()).hexdigest() if lines else ""


def exactly(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def fields_of(seal: HistorySeal) -> dict[str, Any]:
    """The hashed fields as they stand in an export."""
    fields = {name: getattr(seal, name) for name in HASHED_FIELDS}
    fields["day"] = seal.day.isoformat()
    fields["created_at"] = exactly(seal.created_at)
    return fields


def seal_hash(fields: Mapping[str, Any]) -> str:
    covered = {name: value for name, value in fields.items() if name != "logs_hash" or value}
    canonical = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
