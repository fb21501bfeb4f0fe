"""Payment intents as rows: load, change, show, list.

Apart from the rules in `payments` and `attempts` so that every state change of an intent goes through one place, which
asks the published machine and writes what a search will show; two places that wrote intents would sooner or later
disagree about what an amount means.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from simulator import events, machine
from simulator.context import Context
from simulator.listing import newest_first
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, missing
from simulator.wire import Request, Response, answer

# Names every column that may ever change; the order that an intent was created for is not among them.
UPDATE = """
UPDATE intents SET amount = :amount, currency = :currency, capture_method = :capture_method,
    payment_method = :payment_method, payment_method_types = :payment_method_types, status = :status,
    amount_capturable = :amount_capturable, amount_received = :amount_received, amount_refunded = :amount_refunded,
    amount_disputed = :amount_disputed, latest_charge = :latest_charge, last_payment_error = :last_payment_error,
    return_url = :return_url, authenticated = :authenticated, description = :description, metadata = :metadata,
    extras = :extras, cancellation_reason = :cancellation_reason, canceled_at = :canceled_at
WHERE seq = :seq
"""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One payment intent; amounts in minor units of `currency`."""

    seq: int
    id: str
    client_secret: str
    action_secret: str
    order_ref: str
    amount: int
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    amount_disputed: int
    currency: str
    capture_method: str
    confirmation_method: str
    payment_method: str | None
    payment_method_types: str
    status: str
    latest_charge: str | None
    last_payment_error: str | None
    return_url: str | None
    authenticated: int
    description: str | None
    metadata: str
    extras: str
    cancellation_reason: str | None
    canceled_at: int | None
    created: int

    def change(self, ctx: Context, *, cause: str | None = None, **columns: Any) -> "Intent":
        """Write the given columns and return the intent as it now is.

        `cause` is why the status changes, or stays what it was after an attempt. Raises `machine.MachineError` for a
        change of status that is not published.
        """
        changed = replace(self, **columns)
        if cause is not None or changed.status != self.status:
            machine.move(ctx.tx, "payment_intent", self.id, self.status, changed.status, cause=cause or "", at=ctx.now)
        ctx.tx.execute(UPDATE, asdict(changed))
        return changed.make_searchable(ctx)

    def make_searchable(self, ctx: Context) -> "Intent":
        """Write what a search shows once it has caught up with this change."""
        ctx.tx.executemany(
            "INSERT OR IGNORE INTO intent_metadata VALUES (?, ?, ?)",
            [(name, value, self.seq) for name, value in json.loads(self.metadata).items()],
        )
        ctx.tx.execute(
            "INSERT INTO search_documents (intent_seq, written_at, body) VALUES (?, ?, ?)",
            (self.seq, ctx.now, json.dumps(self.as_json(ctx.base_url), separators=(",", ":"))),
        )
        return self

    def publish(self, ctx: Context, kind: str) -> None:
        """Write an event about the intent as it now is."""
        events.publish(ctx, kind, self.as_json(ctx.base_url), intent=self.id, order=self.order_ref)

    def note(self, ctx: Context, operation: str, charged_minor: int = 0) -> None:
        """Write an effect on the intent into the log of operations."""
        ctx.note(
            operation,
            order=self.order_ref,
            object_id=self.id,
            currency=self.currency,
            charged_minor=charged_minor,
        )

    def facts(self, key: str | None) -> dict[str, str]:
        """Return what fault rules can match about a call on this intent."""
        known = {
            "order": self.order_ref,
            "payment_intent": self.id,
            "currency": self.currency,
            "payment_method": self.payment_method or "",
        }
        return known | ({"idempotency_key": key} if key else {})

    def as_json(self, base_url: str) -> dict[str, Any]:
        """Return the intent as Stripe shows it; `base_url` is where the customer's page is."""
        extras: Mapping[str, Any] = json.loads(self.extras)
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_received": self.amount_received,
            "automatic_payment_methods": extras.get("automatic_payment_methods"),
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": self.client_secret,
            "confirmation_method": self.confirmation_method,
            "created": self.created,
            "currency": self.currency,
            "customer": None,
            "description": self.description,
            "last_payment_error": json.loads(self.last_payment_error) if self.last_payment_error else None,
            "latest_charge": self.latest_charge,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "next_action": self._next_action(base_url),
            "payment_method": self.payment_method,
            "payment_method_types": json.loads(self.payment_method_types),
            "processing": None,
            "receipt_email": extras.get("receipt_email"),
            "setup_future_usage": None,
            "shipping": None,
            "statement_descriptor": extras.get("statement_descriptor"),
            "statement_descriptor_suffix": extras.get("statement_descriptor_suffix"),
            "status": self.status,
        }

    def action_url(self, base_url: str) -> str:
        """Return the address of the page on which the customer confirms or refuses."""
        return f"{base_url}/pay/{self.id}/{self.action_secret}"

    def _next_action(self, base_url: str) -> dict[str, Any] | None:
        if self.status != "requires_action":
            return None
        url = self.action_url(base_url)
        if self.return_url is None:
            # What stands inside is Stripe's own and for its browser library only.
            return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": url}}
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": self.return_url, "url": url}}

    @classmethod
    def of(cls, row: sqlite3.Row) -> Self:
        """Return the intent in a row of the table."""
        return cls(**dict(row))


def load(tx: sqlite3.Connection, intent_id: str, param: str = "intent") -> Intent:
    """Return the intent of this id. Refuses with 404 resource_missing when there is none."""
    row = tx.execute("SELECT * FROM intents WHERE id = ?", (intent_id,)).fetchone()
    if row is None:
        missing("payment_intent", intent_id[:100], param)
    return Intent.of(row)


def make_all_searchable(ctx: Context) -> None:
    """Let a search find the intents that were carried over from a store of an older version."""
    rows = ctx.tx.execute(
        "SELECT * FROM intents WHERE NOT EXISTS (SELECT 1 FROM search_documents WHERE intent_seq = intents.seq)"
    ).fetchall()
    for row in rows:
        Intent.of(row).make_searchable(ctx)


def retrieve(store: Store, request: Request, base_url: str) -> Response:
    """GET /v1/payment_intents/{id}."""
    Form(request, frozenset({"client_secret"}))
    with store.read() as snapshot:
        return answer(200, load(snapshot, request.last).as_json(base_url))


def index(store: Store, request: Request, base_url: str) -> Response:
    """GET /v1/payment_intents: what every list takes. It shows every committed intent at once, unlike a search."""
    form = Form(request, frozenset(PAGING))
    with store.read() as snapshot:
        return newest_first(
            snapshot,
            form,
            table="intents",
            url="/v1/payment_intents",
            show=lambda row: Intent.of(row).as_json(base_url),
        )
