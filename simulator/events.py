"""Events: what happened, as Stripe tells it, written in the transaction in which it happened.

Were they written afterwards, a crash in between would lose one for ever, and a caller that lists events to make up for
lost deliveries would never hear of the change. Sending them is somebody else's work (`deliveries`).
"""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from simulator import machine
from simulator.context import Context
from simulator.listing import newest_first
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, invalid, missing
from simulator.wire import Request, Response, answer, new_id

API_VERSION = "2026-10-28.endive"
MAX_TYPES = 20

ENDPOINTS = "SELECT id, enabled_events FROM webhook_endpoints WHERE status = 'enabled'"
# Not delivered: it waits, it was given up, or it got lost on the way.
UNDELIVERED = "SELECT 1 FROM deliveries WHERE event_id = events.id AND state <> 'delivered'"


def publish(ctx: Context, kind: str, shown: Mapping[str, Any], *, intent: str, order: str) -> None:
    """Write an event of the type `kind` about the object as it is now, and one delivery for each endpoint it is for.

    `intent` keeps the events of one payment together, `order` is what fault rules match.
    """
    if kind not in machine.EVENT_TYPES:
        raise machine.MachineError(f"{kind} is no published type of event")
    event_id = new_id("evt")
    ctx.tx.execute(
        "INSERT INTO events (id, type, intent_id, object, request_id, idempotency_key, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (event_id, kind, intent, json.dumps(shown, separators=(",", ":")), ctx.request_id, ctx.key, ctx.wall),
    )
    facts = {"order": order, "payment_intent": intent, "type": kind}
    for endpoint in ctx.tx.execute(ENDPOINTS).fetchall():
        if {"*", kind}.isdisjoint(json.loads(endpoint["enabled_events"])):
            continue
        fate = ctx.faults.fate(ctx.tx, facts)
        for delay in fate.delays:
            ctx.tx.execute(
                "INSERT INTO deliveries (event_id, intent_id, endpoint_id, state, due_at, first_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (event_id, intent, endpoint["id"], "lost" if fate.lost else "pending", ctx.now + delay, ctx.now),
            )


def as_json(tx: sqlite3.Connection, row: sqlite3.Row) -> dict[str, Any]:
    """Return the event as Stripe shows and sends it."""
    waiting = tx.execute(
        "SELECT COUNT(*) AS n FROM deliveries WHERE event_id = ? AND state = 'pending'", (row["id"],)
    ).fetchone()
    return {
        "id": row["id"],
        "object": "event",
        "api_version": API_VERSION,
        "created": row["created"],
        "data": {"object": json.loads(row["object"])},
        "livemode": False,
        "pending_webhooks": waiting["n"],
        "request": {"id": row["request_id"], "idempotency_key": row["idempotency_key"]},
        "type": row["type"],
    }


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/events/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        row = snapshot.execute("SELECT * FROM events WHERE id = ?", (request.last,)).fetchone()
        return answer(200, as_json(snapshot, row)) if row else missing("event", request.last[:100], "id")


def index(store: Store, request: Request) -> Response:
    """GET /v1/events: type or types[] (up to 20), delivery_success, and what every list takes.

    delivery_success=false is what no endpoint has taken yet: waiting, given up, or lost.
    """
    form = Form(request, frozenset({"type", "types[*]", "delivery_success", *PAGING}))
    one, several = form.text("type"), form.array("types")
    if one and several:
        invalid(
            "You may only specify one of these parameters: type, types.", param="types", code="parameters_exclusive"
        )
    if len(several) > MAX_TYPES:
        invalid(f"types can have up to {MAX_TYPES} values", param="types")
    delivered = form.choice("delivery_success", ("true", "false"))
    with store.read() as snapshot:
        return newest_first(
            snapshot,
            form,
            table="events",
            url="/v1/events",
            show=lambda row: as_json(snapshot, row),
            where={
                "type GLOB ?": one,
                "type IN (SELECT value FROM json_each(?))": json.dumps(several) if several else None,
                f"EXISTS ({UNDELIVERED}) = ?": None if delivered is None else delivered == "false",
            },
        )
