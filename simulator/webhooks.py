"""Webhook endpoints: who wants to hear of events, and with which secret they are signed."""

import hashlib
import hmac
import json
import secrets
import sqlite3
from typing import Any

from simulator import machine
from simulator.context import Context
from simulator.events import API_VERSION
from simulator.listing import newest_first
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, dump, invalid, missing, missing_parameter
from simulator.wire import Request, Response, answer, new_id

MAX_ENDPOINTS = 16
CREATE_FIELDS = frozenset({"url", "enabled_events[*]", "description", "metadata", "api_version", "connect"})
UPDATE_FIELDS = frozenset({"url", "enabled_events[*]", "description", "metadata", "disabled"})


def signature(secret: str, seconds: int, body: str) -> str:
    """Return the Stripe-Signature header of a body sent at `seconds`: t=...,v1=HMAC-SHA256 of `<t>.<body>`.

    docs.stripe.com/webhooks#verify-manually
    """
    mac = hmac.new(secret.encode(), f"{seconds}.{body}".encode(), hashlib.sha256)
    return f"t={seconds},v1={mac.hexdigest()}"


def keep_command_line_endpoint(store: Store, url: str | None, secret: str | None, created: int) -> None:
    """Make the one endpoint that was named at the start, change it to what is named now, or end it."""
    with store.write() as tx:
        if url is None:
            tx.execute("DELETE FROM webhook_endpoints WHERE by_command_line")
            return
        changed = tx.execute(
            "UPDATE webhook_endpoints SET url = ?, secret = ?, failures = 0, rests_until = 0 WHERE by_command_line",
            (url, secret),
        )
        if not changed.rowcount:
            _insert(tx, url, secret or "", ["*"], None, {}, created, by_command_line=True)


def create(ctx: Context, request: Request) -> Response:
    """POST /v1/webhook_endpoints: url, enabled_events[], description?, metadata?. Only this answer shows the secret."""
    form = Form(request, CREATE_FIELDS)
    url = _url(form) or missing_parameter("url")
    events = _enabled_events(form) or missing_parameter("enabled_events")
    if form.choice("api_version", (API_VERSION,), API_VERSION) and form.flag("connect"):
        invalid("There are no connected accounts here", param="connect")
    if ctx.tx.execute("SELECT COUNT(*) AS n FROM webhook_endpoints").fetchone()["n"] >= MAX_ENDPOINTS:
        invalid(f"You have reached the maximum of {MAX_ENDPOINTS} test webhook endpoints.")
    secret = f"whsec_{secrets.token_hex(24)}"
    endpoint = _insert(ctx.tx, url, secret, events, form.text("description"), form.metadata(), ctx.wall)
    return answer(200, _as_json(_load(ctx.tx, endpoint)) | {"secret": secret})


def update(ctx: Context, request: Request) -> Response:
    """POST /v1/webhook_endpoints/{id}: url, enabled_events[], disabled, ...; what is not given stays."""
    form = Form(request, UPDATE_FIELDS)
    row = _load(ctx.tx, request.last)
    disabled = form.choice("disabled", ("true", "false"))
    status = row["status"] if disabled is None else ("disabled" if disabled == "true" else "enabled")
    events = _enabled_events(form)
    ctx.tx.execute(
        "UPDATE webhook_endpoints SET url = ?, enabled_events = ?, status = ?, description = ?, metadata = ?,"
        " failures = 0, rests_until = 0 WHERE seq = ?",
        (
            _url(form) or row["url"],
            json.dumps(events) if events else row["enabled_events"],
            status,
            form.text("description") or row["description"],
            dump(form.metadata_change(json.loads(row["metadata"]))),
            row["seq"],
        ),
    )
    return answer(200, _as_json(_load(ctx.tx, request.last)))


def delete(store: Store, request: Request) -> Response:
    """DELETE /v1/webhook_endpoints/{id}: it hears nothing any more, and what waits for it is dropped."""
    with store.write() as tx:
        row = _load(tx, request.last)
        tx.execute("DELETE FROM webhook_endpoints WHERE seq = ?", (row["seq"],))
    return answer(200, {"id": row["id"], "object": "webhook_endpoint", "deleted": True})


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/webhook_endpoints/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        return answer(200, _as_json(_load(snapshot, request.last)))


def index(store: Store, request: Request) -> Response:
    """GET /v1/webhook_endpoints."""
    form = Form(request, frozenset(PAGING))
    with store.read() as snapshot:
        return newest_first(snapshot, form, table="webhook_endpoints", url="/v1/webhook_endpoints", show=_as_json)


def _url(form: Form) -> str | None:
    # Live endpoints must be https; in test mode http is taken too.
    return form.url("url", schemes=("http", "https"))


def _enabled_events(form: Form) -> list[str]:
    events = form.array("enabled_events")
    for name in events:
        if name != "*" and name not in machine.EVENT_TYPES:
            invalid(f"Invalid enabled_events: {name[:100]}", param="enabled_events")
    return events


def _insert(
    tx: sqlite3.Connection,
    url: str,
    secret: str,
    events: list[str],
    description: str | None,
    metadata: dict[str, str],
    created: int,
    by_command_line: bool = False,
) -> str:
    endpoint = new_id("we")
    tx.execute(
        "INSERT INTO webhook_endpoints (id, url, secret, enabled_events, status, description, metadata, created,"
        " by_command_line) VALUES (?, ?, ?, ?, 'enabled', ?, ?, ?, ?)",
        (endpoint, url, secret, json.dumps(events), description, dump(metadata), created, by_command_line),
    )
    return endpoint


def _load(tx: sqlite3.Connection, endpoint: str) -> sqlite3.Row:
    row: sqlite3.Row | None = tx.execute("SELECT * FROM webhook_endpoints WHERE id = ?", (endpoint,)).fetchone()
    return row if row is not None else missing("webhook endpoint", endpoint[:100], "webhook_endpoint")


def _as_json(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "application": None,
        "created": row["created"],
        "description": row["description"],
        "enabled_events": json.loads(row["enabled_events"]),
        "livemode": False,
        "metadata": json.loads(row["metadata"]),
        "status": row["status"],
        "url": row["url"],
    }
