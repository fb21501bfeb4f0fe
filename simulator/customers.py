"""The customer: the page on which a bank's question is answered, and the same answer for tests.

The page is Stripe's own of test mode: what is paid, and two buttons. It works without JavaScript and on a phone.
"""

import html
import secrets
import sqlite3
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from simulator import attempts, intents, refunds
from simulator.context import Context
from simulator.currencies import words
from simulator.intents import Intent
from simulator.store import Store
from simulator.wire import RefusedError, Request, Response, answer, parse_form, read_object, refuse

OUTCOMES = ("complete", "fail")
REDIRECT_STATUS = {"succeeded": "succeeded", "requires_capture": "succeeded", "processing": "pending"}
PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">
<style>
body {{ margin: 0; background: #f6f8fa; color: #1a1f36; font: 1rem/1.5 system-ui, sans-serif; }}
main {{ max-width: 26rem; margin: 10vh auto 0; padding: 1.5rem; background: #fff; border: 1px solid #d8dee4;
  border-radius: .5rem; }}
h1 {{ margin: 0 0 .5rem; font-size: 1.25rem; }}
p {{ margin: 0 0 1rem; }}
.amount {{ font-size: 1.75rem; font-weight: 600; }}
.note {{ color: #4f566b; font-size: .875rem; }}
form {{ display: grid; gap: .75rem; }}
button {{ min-height: 3rem; border: 1px solid #1f5fbf; border-radius: .375rem; font: inherit; cursor: pointer; }}
button[value=complete] {{ background: #1f5fbf; color: #fff; }}
button[value=fail] {{ background: #fff; color: #a4262c; border-color: #a4262c; }}
</style></head><body><main><h1>{title}</h1>{body}</main></body></html>
"""
QUESTION = """<p class="amount">{amount}</p>
<p>Your bank asks you to confirm this payment.</p>
<form method="post">
<button type="submit" name="outcome" value="complete">Complete authentication</button>
<button type="submit" name="outcome" value="fail">Fail authentication</button>
</form>
<p class="note">This is a test page: no money moves.</p>"""


def page(store: Store, request: Request) -> Response:
    """GET /pay/{intent id}/{secret}: the bank's question, or what became of it."""
    with store.read() as snapshot:
        intent = _on_page(snapshot, request)
    if intent.status == "requires_action":
        return _html(200, "Confirm your payment", QUESTION.format(amount=html.escape(_amount(intent))))
    return _html(200, "Nothing left to confirm", _outcome(intent))


def paid(request: Request) -> Response:
    """GET /paid: where the shop sends its customers after the bank's question; ours, a shop has a page of its own."""
    return _html(200, "Thank you", "<p>You can close this page. The shop goes on with your order.</p>")


def submit(ctx: Context, request: Request) -> Response:
    """POST /pay/{intent id}/{secret}: outcome=complete|fail, then on to the return_url, or a page that says the end."""
    intent = _on_page(ctx.tx, request)
    try:
        outcome = parse_form(request.body.decode("utf-8")).get("outcome")
    except ValueError:
        outcome = None
    if outcome not in OUTCOMES:
        return _html(400, "Please choose", "<p>Choose one of the two buttons on the page before.</p>")
    if intent.status == "requires_action":
        intent = attempts.hear_customer(ctx, intent, confirmed=outcome == "complete")
    if intent.return_url is None:
        return _html(200, "Thank you", _outcome(intent))
    return Response(status=303, text="", headers={"Location": _return_url(intent)}, content_type="text/html")


def answer_for(ctx: Context, request: Request) -> Response:
    """POST /customers/{intent or refund id} {"outcome": "complete"|"fail"}: the customer's answer, for tests.

    For a refund that requires_action: says where the money should go, or never does. 404 for an unknown id, 409 when
    nobody is waiting for this customer.
    """
    outcome = read_object(request, frozenset({"outcome"})).get("outcome")
    if outcome not in OUTCOMES:
        refuse(400, "bad_field", f"outcome must be one of {', '.join(OUTCOMES)}", field="outcome")
    confirmed, object_id = outcome == "complete", request.last
    if object_id.startswith("re_"):
        refund = refunds.load(ctx.tx, object_id)
        _must_wait(refund.status, object_id)
        if confirmed:
            refund = refunds.arrive(ctx, refund, cause="customer")
        else:
            refund = refunds.give_up(ctx, refund, "failed", "unknown", cause="customer")
        return answer(200, refund.as_json())
    intent = intents.load(ctx.tx, object_id)
    _must_wait(intent.status, object_id)
    return answer(200, attempts.hear_customer(ctx, intent, confirmed=confirmed).as_json(ctx.base_url))


def _on_page(tx: sqlite3.Connection, request: Request) -> Intent:
    """Return the intent of a page's address; a wrong secret looks like an intent that does not exist."""
    row = tx.execute("SELECT * FROM intents WHERE id = ?", (request.segments[1],)).fetchone()
    intent = Intent.of(row) if row else None
    if intent is None or not secrets.compare_digest(intent.action_secret.encode(), request.last.encode()):
        raise RefusedError(_html(404, "Page not found", "<p>This payment is not known. Check the link.</p>"))
    return intent


def _must_wait(status: str, object_id: str) -> None:
    if status != "requires_action":
        refuse(409, "no_action_required", f"{object_id} has a status of {status}; nobody waits for its customer")


def _amount(intent: Intent) -> str:
    return words(intent.amount, intent.currency)


def _outcome(intent: Intent) -> str:
    sentences = {
        "succeeded": "The payment was made.",
        "requires_capture": "The amount is reserved.",
        "processing": "Your bank is processing the payment.",
        "canceled": "The payment was cancelled.",
        "requires_payment_method": "The payment was not made. You can try again with another card in the shop.",
    }
    sentence = sentences.get(intent.status, "Please go back to the shop to continue.")
    back = f'<p><a href="{html.escape(_return_url(intent))}">Back to the shop</a></p>' if intent.return_url else ""
    return f'<p class="amount">{html.escape(_amount(intent))}</p><p>{sentence}</p>{back}'


def _return_url(intent: Intent) -> str:
    """Return the shop's address with what Stripe adds to it."""
    parts = urlsplit(intent.return_url or "")
    told = {
        "payment_intent": intent.id,
        "payment_intent_client_secret": intent.client_secret,
        "redirect_status": REDIRECT_STATUS.get(intent.status, "failed"),
    }
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] not in told]
    return urlunsplit(parts._replace(query=urlencode([*query, *told.items()])))


def _html(status: int, title: str, body: str) -> Response:
    text = PAGE.format(title=html.escape(title), body=body)
    return Response(status=status, text=text, content_type="text/html; charset=utf-8")
