"""Seals as JSON lines: a line for the seal, then one for each head and log that belong to it, a chunk at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from orders.actor import Actor
from orders.models import HistorySeal, SealedHead, SealedLog
from orders.paging import pages
from orders.services.seals.hashing import exactly, fields_of

CHUNK = 5_000


def export_lines(*, actor: Actor, since: date | None = None, sequence: int | None = None) -> Iterator[str]:
    """The lines of all seals, of those made on `since` or later, or of one seal."""
    actor.require("orders.export_historyseal")
    seals = HistorySeal.objects.order_by("sequence")
    if since is not None:
        seals = seals.filter(day__gte=since)
    if sequence is not None:
        seals = seals.filter(sequence=sequence)
    return _lines(list(seals))


def _lines(seals: list[HistorySeal]) -> Iterator[str]:
    for seal in seals:
        yield _line({"kind": "seal", **fields_of(seal), "hash": seal.hash})
        heads = SealedHead.objects.filter(seal=seal)
        told = heads.values_list("order_id", "order_number", "event_count", "chain_head")
        for order_id, number, count, head in pages(told, CHUNK, key="order_id"):
            yield _line(
                {
                    "kind": "head",
                    "seal": seal.sequence,
                    "order": str(order_id),
                    "number": number,
                    "sequence": count,
                    "hash": head,
                }
            )
        for log in SealedLog.objects.filter(seal=seal).order_by("log"):
            yield _line(
                {
                    "kind": "log",
                    "seal": seal.sequence,
                    "log": log.log,
                    "since": exactly(log.since),
                    "until": exactly(log.until),
                    "count": log.row_count,
                    "hash": log.rows_hash,
                }
            )


def _line(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
