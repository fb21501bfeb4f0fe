"""Compare exported seals with the database as it is now.

The lines are believed as far as their own hashes hold. What they say about an order must still be in its history: the
event with the sealed number, with the sealed hash. Together with the chain itself (`history.verify_chain`) that leaves
a forger nothing to rewrite up to the sealed event.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Any
from uuid import UUID

from django.db import connection

from orders.errors import InvalidInput
from orders.models import HistorySeal
from orders.services.seals import masked_lines
from orders.services.seals.hashing import HASHED_FIELDS, HeadsHash, seal_hash

BATCH = 1_000
MAX_INTEGER = 2**31 - 1
#: kind of line -> its fields with their types
LAYOUT: dict[str, dict[str, type]] = {
    "seal": {
        **dict.fromkeys(HASHED_FIELDS, str),
        **dict.fromkeys(("sequence", "order_count", "event_count", "head_count"), int),
        "hash": str,
    },
    "log": {"seal": int, "log": str, "since": str, "until": str, "count": int, "hash": str},
    "head": {"seal": int, "order": str, "number": str, "sequence": int, "hash": str},
}
#: fields that older exports do not have
OPTIONAL = {"logs_hash": ""}
LOG_NOW = "SELECT row_count, rows_hash FROM orders_log_digest(%s, %s::timestamptz, %s::timestamptz)"
LOST_HEADS = """
    SELECT sealed.number, sealed.sequence, event.hash IS NULL
    FROM unnest(%s::uuid[], %s::text[], %s::int[], %s::text[]) AS sealed (order_id, number, sequence, hash)
    LEFT JOIN orders_orderevent event ON event.order_id = sealed.order_id AND event.sequence = sealed.sequence
    WHERE event.hash IS DISTINCT FROM sealed.hash
    ORDER BY sealed.number
"""


@dataclass(frozen=True, kw_only=True)
class SealBreak:
    """What no longer is as it was sealed."""

    #: the order's number, "seal 3" when it is the seal itself, or the name of a log
    subject: str
    problem: str


def compare(lines: Iterable[str], *, numbers: Collection[str] = ()) -> Iterator[SealBreak]:
    """Every difference between exported lines and the database, of the orders `numbers` only if there are any.

    Raises `InvalidInput` for lines that no export writes.
    """
    previous: dict[str, Any] | None = None
    parsed = (_parse(number, line) for number, line in enumerate(lines, start=1))
    for sequence, group in groupby(parsed, key=lambda found: found["sequence" if found["kind"] == "seal" else "seal"]):
        seal = next(group)
        if seal["kind"] != "seal":
            raise InvalidInput("seals", f"The heads of seal {sequence} come without the seal.")
        yield from _compare_seal(seal, previous)
        heads, logs = HeadsHash(), hashlib.sha256()
        while batch := list(islice(group, BATCH)):
            for head in batch:
                if head["kind"] == "seal":
                    raise InvalidInput("seals", f"Seal {sequence} is there twice.")
                if head["kind"] == "log":
                    logs.update(
                        f"{head['log']} {head['since']} {head['until']} {head['count']} {head['hash']}\n".encode()
                    )
                    continue
                heads.add(head["order"], head["number"], head["sequence"], head["hash"])
            told = [head for head in batch if head["kind"] == "head"]
            yield from _compare_heads([head for head in told if not numbers or head["number"] in numbers], seal)
            if not numbers:
                yield from _compare_logs([log for log in batch if log["kind"] == "log"], seal)
        if seal["logs_hash"] not in ("", logs.hexdigest()):
            yield _broken(seal, "the logs that belong to it were altered or cut off")
        if heads.hexdigest() != seal["heads_hash"]:
            yield _broken(seal, "the heads that belong to it were altered or cut off")
        previous = seal
    if not numbers:
        yield from _compare_notes()


def _parse(number: int, line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
        layout = LAYOUT[found["kind"]]
        values = {name: {**OPTIONAL, **found}[name] for name in layout}
        if any(type(values[name]) is not kind for name, kind in layout.items()):
            raise TypeError
        if found["kind"] == "head":
            _require_storable(found)
        if found["kind"] == "log":
            datetime.fromisoformat(found["since"]), datetime.fromisoformat(found["until"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidInput("seals", f"Line {number} is not a line of an export of seals.") from error
    return {"kind": found["kind"], **values}


def _require_storable(head: dict[str, Any]) -> None:
    """PostgreSQL would refuse the rest of the batch together with such a line."""
    UUID(head["order"])
    if not 0 <= head["sequence"] <= MAX_INTEGER or not f"{head['number']}{head['hash']}".isprintable():
        raise ValueError


def _compare_seal(seal: dict[str, Any], previous: dict[str, Any] | None) -> Iterator[SealBreak]:
    if seal["hash"] != seal_hash({name: seal[name] for name in HASHED_FIELDS}):
        yield _broken(seal, "its line was altered")
    if previous is not None and seal["sequence"] != previous["sequence"] + 1:
        yield _broken(seal, f"it comes after seal {previous['sequence']}: what is between them is missing")
    elif previous is not None and seal["previous_hash"] != previous["hash"]:
        yield _broken(seal, "it does not follow the seal before it")
    elif seal["sequence"] == 1 and seal["previous_hash"]:
        yield _broken(seal, "it does not begin the chain of seals")
    stored = HistorySeal.objects.filter(sequence=seal["sequence"]).values_list("hash", flat=True).first()
    if stored is None:
        yield _broken(seal, "the database no longer has it")
    elif stored != seal["hash"]:
        yield _broken(seal, "the database has another one in its place")


def _compare_heads(heads: list[dict[str, Any]], seal: dict[str, Any]) -> list[SealBreak]:
    with connection.cursor() as cursor:
        columns = [[head[name] for head in heads] for name in ("order", "number", "sequence", "hash")]
        cursor.execute(LOST_HEADS, columns)
        found = cursor.fetchall()
    return [
        SealBreak(
            subject=number,
            problem=f"event {sequence} {'is missing' if gone else 'is not the one'} that was sealed on {seal['day']}",
        )
        for number, sequence, gone in found
    ]


def _compare_logs(logs: list[dict[str, Any]], seal: dict[str, Any]) -> Iterator[SealBreak]:
    with connection.cursor() as cursor:
        for log in logs:
            cursor.execute(LOG_NOW, [log["log"], log["since"], log["until"]])
            count, now = cursor.fetchone()
            if now == log["hash"]:
                continue
            span = f"rows of {log['log']} from {log['since']} to {log['until']}"
            missing = log["count"] - count
            what = f"{missing} {span} are missing" if missing > 0 else f"{span} were changed, or came in afterwards"
            yield _broken(seal, what)


def _compare_notes() -> Iterator[SealBreak]:
    """Without this, whoever rewrites a row could say that an erasure did."""
    for line in masked_lines.not_ours():
        problem = f"row {line.row_key} was changed by what calls itself an erasure, and no process of ours signed it"
        yield SealBreak(subject=line.log, problem=problem)


def _broken(seal: dict[str, Any], problem: str) -> SealBreak:
    return SealBreak(subject=f"seal {seal['sequence']}", problem=problem)
