"""Lists as Stripe pages them: newest first, from an object on or up to one, and never behind the writes."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any

from simulator.stripe_forms import Form, missing
from simulator.wire import Response, answer

#: the object's word in an error, by its table
KINDS = {
    "intents": "payment_intent",
    "charges": "charge",
    "refunds": "refund",
    "disputes": "dispute",
    "events": "event",
    "webhook_endpoints": "webhook endpoint",
}


def newest_first(
    snapshot: sqlite3.Connection,
    form: Form,
    *,
    table: str,
    url: str,
    show: Callable[[sqlite3.Row], dict[str, Any]],
    where: Mapping[str, object] | None = None,
) -> Response:
    """Return one page of a table: limit (1 to 100), starting_after or ending_before (ids), created[gte|gt|lte|lt].

    `where` adds conditions, each with its one value; a value of None leaves its condition out.
    """
    limit, (since, until) = form.limit(), form.created()
    conditions: list[str] = ["created BETWEEN ? AND ?"]
    values: list[object] = [since, until]
    for condition, value in (where or {}).items():
        if value is not None:
            conditions.append(condition)
            values.append(value)
    older, newer = form.text("starting_after"), form.text("ending_before")
    if older:
        conditions.append("seq < ?")
        values.append(_seq(snapshot, table, older, "starting_after"))
    if newer:
        conditions.append("seq > ?")
        values.append(_seq(snapshot, table, newer, "ending_before"))
    # The page before an object holds its nearest neighbours, so it is read upwards and turned round.
    direction = "ASC" if newer and not older else "DESC"
    rows = snapshot.execute(
        f"SELECT * FROM {table} WHERE {' AND '.join(conditions)} ORDER BY seq {direction} LIMIT ?",
        (*values, limit + 1),
    ).fetchall()
    shown = [show(row) for row in rows[:limit]]
    if direction == "ASC":
        shown.reverse()
    return answer(200, {"object": "list", "url": url, "has_more": len(rows) > limit, "data": shown})


def _seq(snapshot: sqlite3.Connection, table: str, object_id: str, param: str) -> int:
    row = snapshot.execute(f"SELECT seq FROM {table} WHERE id = ?", (object_id,)).fetchone()
    return int(row["seq"]) if row else missing(KINDS[table], object_id[:100], param, status=400)
