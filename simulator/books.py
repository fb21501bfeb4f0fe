"""Payment intents as rows: load, change, show, find.

Apart from the rules in `payments` so that every state change of an intent goes through one UPDATE, inside the caller's
transaction; two places that wrote intents would sooner or later disagree about what an amount means.
"""

import json
import re
import sqlite3
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

from simulator.store import Store
from simulator.stripe_forms import CREATED, Form, invalid, missing, missing_parameter, page
from simulator.wire import Request, Response, answer

CLAUSE = re.compile(
    r"""\s*metadata\[(['"])(?P<key>[^'"]{1,40})\1\]:(['"])(?P<value>(?:(?!\3)[^\\]|\\.){1,1000})\3\s*"""
)

# Names every column that may ever change; what an intent was created for is not among them.
UPDATE = """
UPDATE intents SET status = :status, payment_method = :payment_method, amount_capturable = :amount_capturable,
    amount_received = :amount_received, amount_refunded = :amount_refunded, latest_charge = :latest_charge,
    last_payment_error = :last_payment_error, cancellation_reason = :cancellation_reason, canceled_at = :canceled_at
WHERE seq = :seq
"""


@dataclass(frozen=True, kw_only=True)
class Intent:
    """One payment intent; amounts in minor units of `currency`."""

    seq: int
    id: str
    order_ref: str
    amount: int
    amount_capturable: int
    amount_received: int
    amount_refunded: int
    currency: str
    capture_method: str
    payment_method: str | None
    status: str
    latest_charge: str | None
    last_payment_error: str | None
    description: str | None
    metadata: str
    cancellation_reason: str | None
    canceled_at: int | None
    created: int

    def change(self, tx: sqlite3.Connection, **columns: Any) -> "Intent":
        """Write the given columns and return the intent as it now is."""
        changed = replace(self, **columns)
        tx.execute(UPDATE, asdict(changed))
        return changed

    def as_json(self) -> dict[str, Any]:
        """Return the intent as Stripe shows it."""
        return {
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_received": self.amount_received,
            "canceled_at": self.canceled_at,
            "cancellation_reason": self.cancellation_reason,
            "capture_method": self.capture_method,
            "client_secret": f"{self.id}_secret",
            "confirmation_method": "automatic",
            "created": self.created,
            "currency": self.currency,
            "description": self.description,
            "last_payment_error": json.loads(self.last_payment_error) if self.last_payment_error else None,
            "latest_charge": self.latest_charge,
            "livemode": False,
            "metadata": json.loads(self.metadata),
            "next_action": None,
            "payment_method": self.payment_method,
            "payment_method_types": ["card"],
            "status": self.status,
        }

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


def add_metadata(tx: sqlite3.Connection, seq: int, metadata: dict[str, str]) -> None:
    """Make an intent findable by its metadata."""
    tx.executemany("INSERT INTO intent_metadata VALUES (?, ?, ?)", [(k, v, seq) for k, v in metadata.items()])


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/payment_intents/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        return answer(200, load(snapshot, request.last).as_json())


def newest_first(store: Store, request: Request) -> Response:
    """GET /v1/payment_intents: limit?, starting_after? (an intent id; the page begins after it), created[gte|lte]?."""
    form = Form(request, frozenset({"limit", "starting_after", *CREATED}))
    limit, after, created = form.limit(), form.text("starting_after"), form.created()
    with store.read() as snapshot:
        before = load(snapshot, after, "starting_after").seq if after else 2**62
        rows = snapshot.execute(
            "SELECT * FROM intents WHERE seq < ? AND created BETWEEN ? AND ? ORDER BY seq DESC LIMIT ?",
            (before, *created, limit + 1),
        ).fetchall()
    return page("/v1/payment_intents", [Intent.of(row).as_json() for row in rows], limit)


def search(store: Store, request: Request) -> Response:
    """GET /v1/payment_intents/search?query=metadata['key']:'value' [AND ...]: exact matches, newest first.

    It sees every committed intent at once; Stripe's own search may lag a minute behind.
    """
    form = Form(request, frozenset({"query", "limit", "page"}))
    limit, query, cursor = form.limit(), form.text("query") or missing_parameter("query"), form.text("page")
    # The page token is the sequence number of the last intent shown.
    before = int(cursor) if cursor and re.fullmatch(r"[0-9]{1,18}", cursor) else 2**62
    sql, parameters = "SELECT * FROM intents WHERE seq < ?", [before, *_search_values(query)]
    sql += " AND seq IN (SELECT intent_seq FROM intent_metadata WHERE key = ? AND value = ?)" * (len(parameters) // 2)
    with store.read() as snapshot:
        rows = snapshot.execute(f"{sql} ORDER BY seq DESC LIMIT ?", (*parameters, limit + 1)).fetchall()
    more = len(rows) > limit
    return answer(
        200,
        {
            "object": "search_result",
            "url": "/v1/payment_intents/search",
            "has_more": more,
            "next_page": str(rows[limit - 1]["seq"]) if more else None,
            "data": [Intent.of(row).as_json() for row in rows[:limit]],
        },
    )


def _search_values(query: str) -> list[str]:
    values, position = [], 0
    while True:
        found = CLAUSE.match(query, position)
        if found is None:
            invalid("This search knows only metadata['key']:'value' [AND ...]", param="query", code="parameter_invalid")
        values += [found["key"], re.sub(r"\\(.)", r"\1", found["value"])]
        if found.end() == len(query):
            return values
        # A value may itself contain the word AND, so it is read here, after a whole clause, and nowhere else.
        position = found.end() + 3
        if query[found.end() : position] != "AND":
            invalid("Clauses of a search are joined by AND", param="query", code="parameter_invalid")
