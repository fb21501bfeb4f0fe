"""The rules of what goes wrong: which there are, what each does, and how one is written.

    mode          effect happens   the caller sees
    error_before  no               500 on the way in: nothing ran, nothing is saved
    error_after   yes              500 on the way out: the true answer is saved under the idempotency key
    saved_error   no               500 from the gateway itself, saved under the idempotency key
    saved_error_after  yes         500 from the gateway itself, saved under the idempotency key
    unavailable   no               503
    rate_limit    no               429 with Retry-After: `seconds`
    hang_before   no               nothing for `seconds`, then a closed connection
    hang_after    yes              nothing for `seconds`, then a closed connection
    drop_after    yes              a closed connection at once
    latency       yes              the true answer, `seconds` later; the idempotency key is in flight meanwhile
    decline       a refusal        the partner's business refusal (card declined, booking refused, score 100)

Stripe saves "the resulting status code and body of the first request, regardless of whether it succeeds or fails,
including 500 errors", once an endpoint has begun to execute (docs.stripe.com/api/idempotent_requests). So a 500 that
was saved is answered for as long as the key lives. `error_before` and `error_after` are those of something in between,
which the gateway itself never saw; both happen, and look the same to the caller.

Deliveries of events (partner `events`) have modes of their own: `lost` is never sent, `late` is sent `seconds` later,
`duplicate` is sent again `seconds` later, `disorder` is sent up to `seconds` later, each event by a draw of its own.

Latency rules add up with the first other rule that fires. A `decline` without an operation touches only operations
that a partner declines in the ordinary course (DECLINABLE); refunds and captures are declined when named.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.wire import integer_field, refuse

OPERATIONS: dict[str, frozenset[str]] = {
    "payments": frozenset(
        {
            "payment_intents.create",
            "payment_intents.retrieve",
            "payment_intents.list",
            "payment_intents.search",
            "payment_intents.confirm",
            "payment_intents.capture",
            "payment_intents.cancel",
            "payment_intents.update",
            "refunds.create",
            "refunds.retrieve",
            "refunds.list",
            "refunds.update",
            "refunds.cancel",
            "charges.retrieve",
            "charges.list",
            "disputes.retrieve",
            "disputes.list",
            "disputes.update",
            "disputes.close",
            "events.retrieve",
            "events.list",
            "webhook_endpoints.create",
            "webhook_endpoints.retrieve",
            "webhook_endpoints.list",
            "webhook_endpoints.update",
            "webhook_endpoints.delete",
        }
    ),
    "carrier": frozenset(
        {
            "shipments.book",
            "shipments.retrieve",
            "shipments.cancel",
            "shipments.tracking",
            "shipments.advance",
            "labels.retrieve",
        }
    ),
    "fraud": frozenset({"scores.create"}),
    "rates": frozenset({"rates.retrieve"}),
    "addresses": frozenset({"addresses.check"}),
    "events": frozenset({"deliveries.send"}),
}
DECLINABLE = frozenset({"payment_intents.create", "payment_intents.confirm", "shipments.book", "scores.create"})
DECLINABLE_IF_NAMED = DECLINABLE | {"payment_intents.capture", "refunds.create"}
CALL_MODES = frozenset(
    {
        *("error_before", "error_after", "saved_error", "saved_error_after", "hang_before", "hang_after"),
        *("latency", "drop_after", "decline", "unavailable", "rate_limit"),
    }
)
EVENT_MODES = frozenset({"lost", "late", "duplicate", "disorder"})
MODES = CALL_MODES | EVENT_MODES
MATCH_KEYS = frozenset(
    {"order", "payment_intent", "reference", "idempotency_key", "currency", "country", "payment_method", "type"}
)
FIELDS = frozenset({"partner", "operation", "match", "mode", "seconds", "probability", "times", "seed"})
MAX_SECONDS = 600
MAX_RULES = 200
DEFAULT_SECONDS = {
    "latency": 1.0,
    "hang_before": 30.0,
    "hang_after": 30.0,
    "rate_limit": 1.0,
    "late": 5.0,
    "duplicate": 1.0,
    "disorder": 2.0,
}


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One switch; `times` is how often it may fire in all, None for without end."""

    id: int = 0
    partner: str
    operation: str | None
    match: Mapping[str, str]
    mode: str
    seconds: float
    probability: float
    times: int | None
    seed: str

    def concerns(self, partner: str, operation: str, facts: Mapping[str, str]) -> bool:
        """Say whether the rule speaks about this request."""
        if self.partner not in ("*", partner) or self.operation not in (None, operation):
            return False
        if (partner == "events") != (self.mode in EVENT_MODES):
            return False
        if self.mode == "decline" and operation not in (DECLINABLE_IF_NAMED if self.operation else DECLINABLE):
            return False
        return all(facts.get(name) == value for name, value in self.match.items())

    def as_json(self) -> dict[str, Any]:
        """Return the rule as callers write it."""
        return {
            "partner": self.partner,
            "operation": self.operation,
            "match": dict(self.match),
            "mode": self.mode,
            "seconds": self.seconds,
            "probability": self.probability,
            "times": self.times,
            "seed": self.seed,
        }


def parse_rule(item: object) -> Rule:
    """Return a checked rule. Refuses an unknown field or a value out of range with 400 naming the field."""
    if not isinstance(item, dict):
        refuse(400, "bad_field", "a fault rule must be a JSON object", field="faults")
    for name in item.keys() - FIELDS:
        refuse(400, "unknown_field", f"unknown field {name!r}; known are {', '.join(sorted(FIELDS))}", field=name)
    partner, operation, match = item.get("partner"), item.get("operation"), item.get("match") or {}
    if not isinstance(partner, str) or partner not in {*OPERATIONS, "*"}:
        refuse(400, "bad_field", f"partner must be * or one of {', '.join(OPERATIONS)}", field="partner")
    known = frozenset().union(*OPERATIONS.values()) if partner == "*" else OPERATIONS[partner]
    if operation is not None and (not isinstance(operation, str) or operation not in known):
        refuse(400, "bad_field", f"operation must be one of {', '.join(sorted(known))}", field="operation")
    if not isinstance(match, dict) or not all(isinstance(value, str) for value in match.values()):
        refuse(400, "bad_field", "match must be an object of texts", field="match")
    for name in match.keys() - MATCH_KEYS:
        refuse(400, "bad_field", f"match cannot use {name!r}; it knows {', '.join(sorted(MATCH_KEYS))}", field="match")
    mode = item.get("mode")
    if not isinstance(mode, str) or mode not in MODES:
        refuse(400, "bad_field", f"mode must be one of {', '.join(sorted(MODES))}", field="mode")
    if partner != "*" and (partner == "events") != (mode in EVENT_MODES):
        fitting = EVENT_MODES if partner == "events" else CALL_MODES
        refuse(400, "bad_field", f"mode must be one of {', '.join(sorted(fitting))} for {partner}", field="mode")
    if mode == "decline" and operation is not None and operation not in DECLINABLE_IF_NAMED:
        refuse(400, "bad_field", f"{operation} cannot be declined", field="operation")
    seed = item.get("seed", "0")
    if isinstance(seed, bool) or not isinstance(seed, str | int) or len(str(seed)) > 100:
        refuse(400, "bad_field", "seed must be a text or an integer of at most 100 characters", field="seed")
    return Rule(
        partner=partner,
        operation=operation,
        match=match,
        mode=mode,
        seconds=_number(item, "seconds", DEFAULT_SECONDS.get(mode, 0.0), MAX_SECONDS),
        probability=_number(item, "probability", 1.0, 1),
        times=None if item.get("times") is None else integer_field(item, "times", 1, 1_000_000),
        seed=str(seed),
    )


def _number(item: Mapping[str, Any], name: str, default: float, high: float) -> float:
    value = item.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= high:
        refuse(400, "bad_field", f"{name} must be a number from 0 to {high}", field=name)
    return float(value)
