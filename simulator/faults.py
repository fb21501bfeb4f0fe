"""Fault switches: what goes wrong, for whom and how often, set over HTTP and kept in the store.

A partner that only ever works proves nothing. Draws depend on the seed, the operation and the order, not on arrival
order, so the same chaos run hurts the same orders again; without that a failure found at night cannot be repeated.
The rules themselves are in `fault_rules`.
"""

import json
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from simulator.fault_rules import MAX_RULES, Rule, parse_rule
from simulator.store import Store
from simulator.wire import Request, Response, answer, draw, read_json, refuse


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What one request has to suffer: `delay_seconds` first, then `mode`."""

    mode: str | None = None
    seconds: float = 0.0
    delay_seconds: float = 0.0


NO_FAULT = Fault()


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What becomes of one delivery: it is sent after each of `delays` (seconds), or never."""

    delays: tuple[float, ...] = (0.0,)
    lost: bool = False


SENT_AT_ONCE = Fate()


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

    def fate(self, tx: sqlite3.Connection, facts: Mapping[str, str]) -> Fate:
        """Return what becomes of a delivery, decided in the transaction that writes its event."""
        delay, copies = 0.0, []
        for rule in self.rules:
            if not rule.concerns("events", "deliveries.send", facts):
                continue
            if not _fires(tx, rule, "deliveries.send", facts):
                continue
            match rule.mode:
                case "lost":
                    return Fate(lost=True)
                case "late":
                    delay += rule.seconds
                case "disorder":
                    delay += rule.seconds * draw(rule.seed, rule.mode, facts["order"], facts["type"])
                case "duplicate":
                    copies.append(rule.seconds)
        if not delay and not copies:
            return SENT_AT_ONCE
        return Fate(delays=(delay, *(delay + seconds for seconds in copies)))

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
