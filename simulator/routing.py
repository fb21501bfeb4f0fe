"""From a path to a partner's function, with the fault switches in between.

The order of checks is the point of this module: who asks, which fault strikes before anything happened, the effect,
which fault strikes after. A fault placed on the wrong side of the effect tests a failure that does not exist.
"""

import json
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator import addresses, books, carrier, fraud, idempotency, oracle, payments, rates, refunds
from simulator.faults import Fault, FaultBook
from simulator.store import Store
from simulator.stripe_forms import error_answer, unauthorized
from simulator.wire import RefusedError, Request, Response, Silence, answer, parse_form, refuse

SHIPMENT = "/carrier/shipments/{}"
ORDER_IN_QUERY = re.compile(r"metadata\[['\"]order['\"]\]:['\"]([^'\"]+)['\"]")


@dataclass(kw_only=True)
class Simulator:
    """Everything one process shares between its connections."""

    store: Store
    seed: str
    base_url: str
    allow_reset: bool
    stopping: threading.Event = field(default_factory=threading.Event)
    in_flight: idempotency.InFlight = field(default_factory=idempotency.InFlight)
    faults: FaultBook = field(init=False)

    def __post_init__(self) -> None:
        self.faults = FaultBook(self.store)

    def pause(self, seconds: float) -> None:
        """Spend time as a slow partner. Raises RefusedError with 503 when the process stops meanwhile."""
        if seconds > 0 and self.stopping.wait(seconds):
            refuse(503, "stopping", "the simulator is stopping")


Handler = Callable[[Simulator, Request], Response]
Effect = Callable[[Simulator, Request, sqlite3.Connection], Response]


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method on one path. `effect` runs inside the write transaction, `handler` without one."""

    method: str
    path: tuple[str, ...]
    partner: str | None = None
    operation: str = ""
    handler: Handler | None = None
    effect: Effect | None = None

    def fits(self, segments: tuple[str, ...]) -> bool:
        """Say whether the path is this one; {} stands for any segment."""
        return len(segments) == len(self.path) and all(
            want in ("{}", have) for want, have in zip(self.path, segments, strict=True)
        )


def _route(
    method: str, path: str, name: str = "", handler: Handler | None = None, *, effect: Effect | None = None
) -> Route:
    partner, _, operation = name.partition(":")
    parts = tuple(path.strip("/").split("/"))
    return Route(
        method=method, path=parts, partner=partner or None, operation=operation, handler=handler, effect=effect
    )


ROUTES = (
    _route("POST", "/v1/payment_intents", "payments:payment_intents.create",
           effect=lambda sim, req, tx: payments.create(tx, req, sim.faults, sim.seed)),
    _route("GET", "/v1/payment_intents", "payments:payment_intents.list",
           lambda sim, req: books.newest_first(sim.store, req)),
    # Before {}: otherwise "search" would be taken for an id.
    _route("GET", "/v1/payment_intents/search", "payments:payment_intents.search",
           lambda sim, req: books.search(sim.store, req)),
    _route("GET", "/v1/payment_intents/{}", "payments:payment_intents.retrieve",
           lambda sim, req: books.retrieve(sim.store, req)),
    _route("POST", "/v1/payment_intents/{}/confirm", "payments:payment_intents.confirm",
           effect=lambda sim, req, tx: payments.confirm(tx, req, sim.faults, sim.seed)),
    _route("POST", "/v1/payment_intents/{}/capture", "payments:payment_intents.capture",
           effect=lambda sim, req, tx: payments.capture(tx, req, sim.faults)),
    _route("POST", "/v1/payment_intents/{}/cancel", "payments:payment_intents.cancel",
           effect=lambda sim, req, tx: payments.cancel(tx, req)),
    _route("POST", "/v1/refunds", "payments:refunds.create",
           effect=lambda sim, req, tx: refunds.create(tx, req, sim.faults)),
    _route("GET", "/v1/refunds", "payments:refunds.list", lambda sim, req: refunds.newest_first(sim.store, req)),
    _route("GET", "/v1/refunds/{}", "payments:refunds.retrieve", lambda sim, req: refunds.retrieve(sim.store, req)),
    _route("GET", "/v1/idempotency/{}", "payments:idempotency.retrieve",
           lambda sim, req: idempotency.look_up(sim.store, sim.in_flight, req)),
    _route("PUT", SHIPMENT, "carrier:shipments.book",
           effect=lambda sim, req, tx: carrier.book(tx, req, sim.faults, sim.base_url)),
    _route("GET", SHIPMENT, "carrier:shipments.retrieve",
           lambda sim, req: carrier.retrieve(sim.store, req, sim.base_url)),
    _route("POST", f"{SHIPMENT}/cancel", "carrier:shipments.cancel",
           effect=lambda sim, req, tx: carrier.cancel(tx, req, sim.base_url)),
    _route("POST", f"{SHIPMENT}/advance", "carrier:shipments.advance",
           effect=lambda sim, req, tx: carrier.advance(tx, req, sim.base_url)),
    _route("GET", f"{SHIPMENT}/tracking", "carrier:shipments.tracking",
           lambda sim, req: carrier.tracking(sim.store, req)),
    _route("GET", "/carrier/labels/{}", "carrier:labels.retrieve", lambda sim, req: carrier.label(sim.store, req)),
    _route("POST", "/fraud/scores", "fraud:scores.create", lambda sim, req: _score(sim, req)),
    _route("GET", "/rates", "rates:rates.retrieve", lambda sim, req: rates.quote(req)),
    _route("GET", "/addresses/check", "addresses:addresses.check", lambda sim, req: addresses.check(req)),
    _route("GET", "/faults", handler=lambda sim, req: sim.faults.show(req)),
    _route("PUT", "/faults", handler=lambda sim, req: sim.faults.replace(req)),
    _route("POST", "/faults", handler=lambda sim, req: sim.faults.add(req)),
    _route("DELETE", "/faults", handler=lambda sim, req: sim.faults.clear(req)),
    _route("DELETE", "/faults/{}", handler=lambda sim, req: sim.faults.remove(req)),
    _route("GET", "/oracle/orders", handler=lambda sim, req: oracle.orders(sim.store, req)),
    _route("GET", "/oracle/operations", handler=lambda sim, req: oracle.operations(sim.store, req)),
    _route("GET", "/oracle/summary", handler=lambda sim, req: oracle.summary(sim.store, req)),
    _route("GET", "/health", handler=lambda sim, req: answer(200, {"ok": True})),
    _route("DELETE", "/store", handler=lambda sim, req: _reset(sim)),
)  # fmt: skip


def dispatch(sim: Simulator, request: Request) -> Response | Silence:
    """Return what the caller gets, which may be nothing at all."""
    stripe = request.segments[:1] == ("v1",)
    denied = unauthorized(request) if stripe else None
    if denied is not None:
        return denied
    try:
        route = _find(request, stripe)
        if route.partner is None:
            return _run(sim, request, route, Fault())
        fault = sim.faults.strike(route.partner, route.operation, _facts(sim, request)) if sim.faults.rules else Fault()
        match fault.mode:
            case "error_before":
                return _broken(500, "Something went wrong, and nothing was done.", stripe)
            case "unavailable":
                return _broken(503, "The service is temporarily unavailable.", stripe)
            case "hang_before":
                return Silence(seconds=fault.seconds)
    except RefusedError as refused:
        return refused.response
    try:
        response = _run(sim, request, route, fault)
    except RefusedError as refused:
        response = refused.response
    match fault.mode:
        case "error_after":
            return _broken(500, "Something went wrong after the request was carried out.", stripe)
        case "hang_after":
            return Silence(seconds=fault.seconds)
        case "drop_after":
            return Silence()
    return response


def _find(request: Request, stripe: bool) -> Route:
    fitting = [route for route in ROUTES if route.fits(request.segments)]
    for route in fitting:
        if route.method == request.method:
            return route
    url = f"({request.method}: {request.path[:200]})"
    if fitting:
        status, code, message = 405, "method_not_allowed", f"Method not allowed {url}"
    else:
        status, code, message = 404, "not_found", f"Unrecognized request URL {url}"
    headers = {"Allow": ", ".join(sorted({route.method for route in fitting}))} if fitting else {}
    if stripe:
        raise RefusedError(replace(error_answer(status, message), headers=headers))
    return refuse(status, code, message, headers=headers)


def _run(sim: Simulator, request: Request, route: Route, fault: Fault) -> Response:
    effect = route.effect
    if effect is None:
        assert route.handler is not None, "a route has a handler or an effect"
        sim.pause(fault.delay_seconds)
        return route.handler(sim, request)
    if route.partner != "payments":
        sim.pause(fault.delay_seconds)
        with sim.store.write() as tx:
            return effect(sim, request, tx)

    def pause(is_first: bool) -> None:
        with sim.store.read() as snapshot:
            card_seconds = payments.settling_seconds(snapshot, request) if is_first else 0.0
        sim.pause(fault.delay_seconds + card_seconds)

    return idempotency.run_once(sim.store, sim.in_flight, request, lambda tx: effect(sim, request, tx), pause)


def _broken(status: int, message: str, stripe: bool) -> Response:
    if stripe:
        return error_answer(status, message, kind="api_error")
    return answer(status, {"error": {"code": "internal_error" if status == 500 else "unavailable", "message": message}})


def _score(sim: Simulator, request: Request) -> Response:
    forced = False
    if sim.faults.rules:
        with sim.store.write() as tx:
            forced = sim.faults.declines(tx, "fraud", "scores.create", _facts(sim, request))
    return fraud.score(request, seed=sim.seed, forced=forced)


def _reset(sim: Simulator) -> Response:
    if not sim.allow_reset:
        refuse(403, "reset_not_allowed", "start the simulator with --allow-reset to clear its store")
    sim.store.clear()
    sim.faults.reload()
    return answer(200, {"ok": True})


def _facts(sim: Simulator, request: Request) -> Mapping[str, str]:
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
        case ("v1", "idempotency", key):
            facts["idempotency_key"] = key
        case ("carrier", "shipments", reference, *_):
            facts["reference"] = reference
    with sim.store.read() as snapshot:
        for query, name in (
            ("SELECT order_ref, currency, payment_method FROM intents WHERE id = ?", "payment_intent"),
            ("SELECT order_ref, country FROM shipments WHERE reference = ? AND order_ref <> ''", "reference"),
        ):
            row = snapshot.execute(query, (facts[name],)).fetchone() if name in facts else None
            if row is not None:
                known = {column: value for column, value in dict(row).items() if value}
                facts = {**known, "order": row["order_ref"], **facts}
    return facts
