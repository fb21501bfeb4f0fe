"""Refunds: money back, never more than was taken.

The bound is checked in the transaction that writes the refund, so two people refunding one payment at the same moment
cannot both succeed; a check before it would let both through.
"""

import json
import sqlite3
import time
from typing import Any

from simulator.books import load
from simulator.faults import FaultBook
from simulator.payments import facts
from simulator.store import Store, record
from simulator.stripe_forms import CREATED, Form, dump, error_answer, missing, missing_parameter, page
from simulator.wire import Request, Response, answer, new_id

WITHIN = "seq < :before AND created BETWEEN :since AND :until ORDER BY seq DESC LIMIT :limit"
ALL = f"SELECT * FROM refunds WHERE {WITHIN}"
OF_INTENT = f"SELECT * FROM refunds WHERE intent_id = :intent AND {WITHIN}"
REASONS = ("duplicate", "fraudulent", "requested_by_customer")


def create(tx: sqlite3.Connection, request: Request, faults: FaultBook) -> Response:
    """POST /v1/refunds: payment_intent, amount? (minor units, all that is left when absent), reason?, metadata?."""
    form = Form(request, frozenset({"payment_intent", "amount", "reason", "metadata"}))
    intent = load(tx, form.text("payment_intent") or missing_parameter("payment_intent"), "payment_intent")
    reason, metadata = form.choice("reason", REASONS), form.metadata()
    left = intent.amount_received - intent.amount_refunded
    amount = form.amount("amount") or left
    if intent.status != "succeeded":
        return error_answer(
            400,
            f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.",
            code="charge_not_refundable",
            param="payment_intent",
        )
    if left == 0:
        return error_answer(
            400, f"Charge {intent.latest_charge} has already been refunded.", code="charge_already_refunded"
        )
    if amount > left:
        return error_answer(
            400,
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).",
            code="amount_too_large",
            param="amount",
        )
    if faults.declines(tx, "payments", "refunds.create", facts(request, intent)):
        return error_answer(
            400, "You have insufficient funds in your account for this refund.", code="balance_insufficient"
        )
    refund_id = new_id("re")
    tx.execute(
        "INSERT INTO refunds (id, intent_id, order_ref, amount, currency, charge, reason, metadata, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            refund_id,
            intent.id,
            intent.order_ref,
            amount,
            intent.currency,
            intent.latest_charge,
            reason,
            dump(metadata),
            int(time.time()),
        ),
    )
    intent.change(tx, amount_refunded=intent.amount_refunded + amount)
    record(
        tx,
        partner="payments",
        operation="refunds.create",
        order=intent.order_ref,
        object_id=refund_id,
        key=request.idempotency_key,
        currency=intent.currency,
        refunded_minor=amount,
    )
    return answer(200, _as_json(tx.execute("SELECT * FROM refunds WHERE id = ?", (refund_id,)).fetchone()))


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/refunds/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        row = snapshot.execute("SELECT * FROM refunds WHERE id = ?", (request.last,)).fetchone()
    if row is None:
        missing("refund", request.last[:100], "refund")
    return answer(200, _as_json(row))


def newest_first(store: Store, request: Request) -> Response:
    """GET /v1/refunds: payment_intent?, limit?, starting_after?, created[gte|lte]?."""
    form = Form(request, frozenset({"payment_intent", "limit", "starting_after", *CREATED}))
    limit, intent_id, after = form.limit(), form.text("payment_intent"), form.text("starting_after")
    since, until = form.created()
    with store.read() as snapshot:
        before = 2**62
        if after:
            row = snapshot.execute("SELECT seq FROM refunds WHERE id = ?", (after,)).fetchone()
            before = row["seq"] if row else missing("refund", after[:100], "starting_after")
        if intent_id:
            load(snapshot, intent_id, "payment_intent")
        rows = snapshot.execute(
            OF_INTENT if intent_id else ALL,
            {"before": before, "intent": intent_id, "limit": limit + 1, "since": since, "until": until},
        ).fetchall()
    return page("/v1/refunds", [_as_json(row) for row in rows], limit)


def _as_json(row: sqlite3.Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "object": "refund",
        "amount": row["amount"],
        "charge": row["charge"],
        "created": row["created"],
        "currency": row["currency"],
        "metadata": json.loads(row["metadata"]),
        "payment_intent": row["intent_id"],
        "reason": row["reason"],
        "status": "succeeded",
    }
