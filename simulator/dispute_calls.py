"""The calls on disputes: look, answer with evidence, give in."""

import json

from simulator.context import Context
from simulator.disputes import ESCALATING, EVIDENCE, INQUIRY, LOSING, MAX_EVIDENCE_LENGTH, WINNING, Dispute, end, load
from simulator.listing import newest_first
from simulator.store import Store
from simulator.stripe_forms import PAGING, Form, dump, error_answer
from simulator.wire import Request, Response, answer


def update(ctx: Context, request: Request) -> Response:
    """POST /v1/disputes/{id}: evidence[...], submit (true unless said otherwise), metadata.

    Evidence goes to the bank once, and the bank takes its time: the answer is under_review, the decision an event.
    """
    names = {f"evidence[{name}]" for name in EVIDENCE}
    form = Form(request, frozenset({"submit", "metadata", *names}))
    dispute = load(ctx.tx, request.last)
    given = {
        name: form.text(f"evidence[{name}]", max_length=MAX_EVIDENCE_LENGTH)
        for name in EVIDENCE
        if f"evidence[{name}]" in form.fields
    }
    if given and dispute.status not in ("needs_response", "warning_needs_response"):
        return error_answer(400, f"This dispute has a status of {dispute.status}; it takes no evidence any more.")
    evidence = json.loads(dispute.evidence) | given
    dispute = dispute.change(
        ctx,
        evidence=dump({name: text for name, text in evidence.items() if text}),
        metadata=dump(form.metadata_change(json.loads(dispute.metadata))),
    )
    if given and form.choice("submit", ("true", "false"), "true") == "true":
        inquiry = dispute.status in INQUIRY
        dispute = dispute.change(
            ctx,
            cause="evidence",
            status="warning_under_review" if inquiry else "under_review",
            submission_count=dispute.submission_count + 1,
        )
        if not inquiry:
            ctx.unschedule(dispute.id)
        if evidence.get("uncategorized_text") in (WINNING, LOSING, ESCALATING):
            ctx.schedule("dispute_decided", ctx.behaviour.evidence_seconds, dispute.id)
    dispute.publish(ctx, "updated")
    return answer(200, dispute.as_json())


def close(ctx: Context, request: Request) -> Response:
    """POST /v1/disputes/{id}/close: give in; the dispute is lost at once and for ever."""
    Form(request, frozenset())
    dispute = load(ctx.tx, request.segments[2])
    if dispute.status != "needs_response":
        return error_answer(400, f"This dispute has a status of {dispute.status}; it cannot be closed.")
    return answer(200, end(ctx, dispute, "lost", cause="close").as_json())


def retrieve(store: Store, request: Request) -> Response:
    """GET /v1/disputes/{id}."""
    Form(request, frozenset())
    with store.read() as snapshot:
        return answer(200, load(snapshot, request.last).as_json())


def index(store: Store, request: Request) -> Response:
    """GET /v1/disputes: payment_intent, charge, and what every list takes."""
    form = Form(request, frozenset({"payment_intent", "charge", *PAGING}))
    with store.read() as snapshot:
        return newest_first(
            snapshot,
            form,
            table="disputes",
            url="/v1/disputes",
            show=lambda row: Dispute.of(row).as_json(),
            where={"intent_id = ?": form.text("payment_intent"), "charge = ?": form.text("charge")},
        )
