"""Fault switches: what goes wrong, for whom and how often, set over HTTP and kept in the store.

A partner that only ever works proves nothing. Draws depend on the seed, the operation and the order, not on arrival
order, so the same chaos run hurts the same orders again; without that a failure found at night cannot be repeated.

    mode          effect happens   the caller sees
    error_before  no               500
    error_after   yes              500 (the true answer is saved under the idempotency key)
    unavailable   no               503
    hang_before   no               nothing for `seconds`, then a closed connection
    hang_after    yes              nothing for `seconds`, then a closed connection
    drop_after    yes              a closed connection at once
    latency       yes              the true answer, `seconds` later; the idempotency key is in flight meanwhile
    decline       a refusal        the partner's business refusal (card declined, booking refused, score 100)

Latency rules add up with the first other rule that fires. A `decline` without an operation touches only operations
that a partner declines in the ordinary course (DECLINABLE); refunds and captures are declined when named.
"""

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.store import Store
from simulator.wire import Request, Response, answer, draw, integer_field, read_json, refuse

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
            "refunds.create",
            "refunds.retrieve",
            "refunds.list",
            "idempotency.retrieve",
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
}
DECLINABLE = frozenset({"payment_intents.create", "payment_intents.confirm", "shipments.book", "scores.create"})
DECLINABLE_IF_NAMED = DECLINABLE | {"payment_intents.capture", "refunds.create"}
MODES = frozenset(
    {"error_before", "error_after", "hang_before", "hang_after", "latency", "drop_after", "decline", "unavailable"}
)
MATCH_KEYS = frozenset(
    {"order", "payment_intent", "reference", "idempotency_key", "currency", "country", "payment_method"}
)
FIELDS = frozenset({"partner", "operation", "match", "mode", "seconds", "probability", "times", "seed"})
MAX_SECONDS = 600
MAX_RULES = 200
DEFAULT_SECONDS = {"latency": 1.0, "hang_before": 30.0, "hang_after": 30.0}


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


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What one request has to suffer: `delay_seconds` first, then `mode`."""

    mode: str | None = None
    seconds: float = 0.0
    delay_seconds: float = 0.0


NO_FAULT = Fault()


class FaultBook:
    """The switches in force. The rules are cached; how often they may still fire is asked of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reloading = threading.Lock()
        self.rules: tuple[Rule, ...] = ()
        self.reload()

    def reload(self) -> None:
        """Read the rules from the store again, after a restart or a change."""
        # One at a time: a slower reader must not put back the rules that a faster one has just replaced.
        with self._reloading, self._store.read() as snapshot:
            rows = snapshot.execute("SELECT id, rule FROM faults ORDER BY id").fetchall()
            self.rules = tuple(Rule(id=row["id"], **json.loads(row["rule"])) for row in rows)

    def strike(self, partner: str, operation: str, facts: Mapping[str, str]) -> Fault:
        """Return what this request suffers. Declines are left out: they belong into the effect (`declines`)."""
        candidates = [r for r in self.rules if r.mode != "decline" and r.concerns(partner, operation, facts)]
        if not candidates:
            return NO_FAULT
        delay, chosen = 0.0, None
        with self._store.write() as tx:
            for rule in candidates:
                if rule.mode == "latency":
                    delay += rule.seconds if _fires(tx, rule, operation, facts) else 0.0
                elif chosen is None and _fires(tx, rule, operation, facts):
                    chosen = rule
        if chosen is None:
            return Fault(delay_seconds=delay)
        return Fault(mode=chosen.mode, seconds=chosen.seconds, delay_seconds=delay)

    def declines(self, tx: sqlite3.Connection, partner: str, operation: str, facts: Mapping[str, str]) -> bool:
        """Say whether a `decline` rule fires, counted in the transaction of the effect that it refuses."""
        return any(
            rule.mode == "decline" and rule.concerns(partner, operation, facts) and _fires(tx, rule, operation, facts)
            for rule in self.rules
        )

    def show(self, request: Request) -> Response:
        """GET /faults: every rule with its id and how often it may still fire."""
        with self._store.read() as snapshot:
            rows = snapshot.execute("SELECT id, rule, remaining FROM faults ORDER BY id").fetchall()
        rules = [{"id": row["id"], **json.loads(row["rule"]), "remaining": row["remaining"]} for row in rows]
        return answer(200, {"faults": rules})

    def replace(self, request: Request) -> Response:
        """PUT /faults with a list, or {"faults": [...]}: exactly these rules from now on."""
        body = read_json(request)
        if isinstance(body, dict):
            for name in body.keys() - {"faults"}:
                refuse(400, "unknown_field", f"unknown field {name!r}; known is faults", field=name)
            body = body.get("faults")
        if not isinstance(body, list) or len(body) > MAX_RULES:
            refuse(400, "bad_field", f"faults must be a list of at most {MAX_RULES} rules", field="faults")
        rules = [parse_rule(item) for item in body]
        with self._store.write() as tx:
            tx.execute("DELETE FROM faults")
            for rule in rules:
                _insert(tx, rule)
        self.reload()
        return self.show(request)

    def add(self, request: Request) -> Response:
        """POST /faults with one rule: it joins the others."""
        if len(self.rules) >= MAX_RULES:
            refuse(409, "too_many_rules", f"there are {MAX_RULES} rules already")
        rule = parse_rule(read_json(request))
        with self._store.write() as tx:
            number = _insert(tx, rule)
        self.reload()
        return answer(201, {"id": number, **rule.as_json(), "remaining": rule.times})

    def clear(self, request: Request) -> Response:
        """DELETE /faults: everything works again."""
        with self._store.write() as tx:
            tx.execute("DELETE FROM faults")
        self.reload()
        return answer(200, {"faults": []})

    def remove(self, request: Request) -> Response:
        """DELETE /faults/{id}: this rule ends. 404 when there is none of that id."""
        number = request.last
        with self._store.write() as tx:
            known = number.isascii() and number.isdigit() and len(number) < 19
            if not known or not tx.execute("DELETE FROM faults WHERE id = ?", (int(number),)).rowcount:
                refuse(404, "not_found", f"no fault rule {number!r}")
        self.reload()
        return self.show(request)


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


def _insert(tx: sqlite3.Connection, rule: Rule) -> int:
    cursor = tx.execute("INSERT INTO faults (rule, remaining) VALUES (?, ?)", (json.dumps(rule.as_json()), rule.times))
    return int(cursor.lastrowid or 0)


def _fires(tx: sqlite3.Connection, rule: Rule, operation: str, facts: Mapping[str, str]) -> bool:
    if rule.probability < 1:
        subject = facts.get("order") or facts.get("reference") or facts.get("idempotency_key") or ""
        # Which retry of which order: the n-th draw for one subject is the same in every run of one seed.
        row = tx.execute(
            "INSERT INTO fault_draws (fault_id, subject, drawn) SELECT id, ?, 1 FROM faults WHERE id = ?"
            " ON CONFLICT DO UPDATE SET drawn = drawn + 1 RETURNING drawn",
            (f"{operation}|{subject}", rule.id),
        ).fetchone()
        if row is None or draw(rule.seed, rule.mode, operation, subject, row["drawn"]) >= rule.probability:
            return False
    if rule.times is None:
        return True
    counted = tx.execute("UPDATE faults SET remaining = remaining - 1 WHERE id = ? AND remaining > 0", (rule.id,))
    return counted.rowcount == 1
