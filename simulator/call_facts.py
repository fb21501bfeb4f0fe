"""What a fault rule can match about a call: its order, its payment, its key."""

import json
import re
from collections.abc import Mapping

from simulator.store import Store
from simulator.wire import Request, parse_form

ORDER_IN_QUERY = re.compile(r"metadata\[['\"]order['\"]\]:['\"]([^'\"]+)['\"]")


def facts_of(store: Store, request: Request) -> Mapping[str, str]:
    """Return what rules can match, as far as it can be told from the request and the books; never refuses."""
    facts: dict[str, str] = {}
    if request.idempotency_key:
        facts["idempotency_key"] = request.idempotency_key
    try:
        given = parse_form(request.body.decode("utf-8")) if request.segments[0] == "v1" else json.loads(request.body)
    except (ValueError, RecursionError):
        given = {}
    if isinstance(given, dict):
        facts |= {name: value for name, value in given.items() if isinstance(value, str)}
    facts |= {name: value for name, value in request.query.items() if name == "payment_intent"}
    if "metadata[order]" in facts:
        facts["order"] = facts["metadata[order]"]
    searched = ORDER_IN_QUERY.search(request.query.get("query", ""))
    if searched:
        facts["order"] = searched[1]
    match request.segments:
        case ("v1", "payment_intents", intent, *_):
            facts["payment_intent"] = intent
        case ("v1", "refunds" | "charges" | "disputes" as kind, name, *_):
            facts[kind] = name
        case ("carrier", "shipments", reference, *_):
            facts["reference"] = reference
    with store.read() as snapshot:
        for query, name in (
            ("SELECT order_ref, currency, payment_method FROM intents WHERE id = ?", "payment_intent"),
            ("SELECT order_ref, currency, payment_method FROM charges WHERE id = ?", "charges"),
            ("SELECT order_ref, currency, intent_id AS payment_intent FROM refunds WHERE id = ?", "refunds"),
            ("SELECT order_ref, currency, intent_id AS payment_intent FROM disputes WHERE id = ?", "disputes"),
            ("SELECT order_ref, country FROM shipments WHERE reference = ? AND order_ref <> ''", "reference"),
        ):
            row = snapshot.execute(query, (facts[name],)).fetchone() if name in facts else None
            if row is not None:
                known = {column: value for column, value in dict(row).items() if value}
                facts = {**known, "order": row["order_ref"], **facts}
    return facts
