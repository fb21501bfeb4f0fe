"""From a path to a partner's function, with the fault switches in between.

The order of checks is the point of this module: who asks, which fault strikes before anything happened, the effect,
which fault strikes after. A fault placed on the wrong side of the effect tests a failure that does not exist.
"""

import math
import sqlite3
from dataclasses import replace

from simulator import idempotency, payments
from simulator.call_facts import facts_of
from simulator.faults import Fault
from simulator.partners import Simulator
from simulator.routes import ROUTES, Route
from simulator.stripe_forms import error_answer, unauthorized
from simulator.wire import RefusedError, Request, Response, Silence, answer, refuse

#: whose answers depend on what was due
TIMED = frozenset({"v1", "oracle", "pay", "customers"})


def dispatch(sim: Simulator, request: Request) -> Response | Silence:
    """Return what the caller gets, which may be nothing at all."""
    stripe = request.segments[:1] == ("v1",)
    denied = unauthorized(request) if stripe else None
    if denied is not None:
        return denied
    try:
        route = _find(request, stripe)
        if request.segments[0] in TIMED:
            sim.catch_up()
        if route.partner is None:
            return _run(sim, request, route, Fault())
        fault = (
            sim.faults.strike(route.partner, route.operation, facts_of(sim.store, request))
            if sim.faults.rules
            else Fault()
        )
        match fault.mode:
            case "error_before":
                return _broken(500, "Something went wrong, and nothing was done.", stripe)
            case "saved_error" if route.effect is None or not stripe:
                return _broken(500, "Something went wrong, and nothing was done.", stripe)
            case "unavailable":
                return _broken(503, "The service is temporarily unavailable.", stripe)
            case "rate_limit":
                return _too_many(fault.seconds, stripe)
            case "hang_before":
                return Silence(seconds=fault.seconds)
    except RefusedError as refused:
        return refused.response
    try:
        response = _run(sim, request, route, fault)
    except RefusedError as refused:
        response = refused.response
    match fault.mode:
        case "error_after" | "saved_error_after":
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
            card_seconds = payments.slow_seconds(snapshot, request) if is_first else 0.0
        sim.pause(fault.delay_seconds + card_seconds)

    def carry_out(tx: sqlite3.Connection) -> Response:
        if fault.mode == "saved_error":
            return _broken(500, "Something went wrong, and nothing was done.", stripe=True)
        response = effect(sim, request, tx)
        if fault.mode == "saved_error_after":
            return _broken(500, "Something went wrong after the request was carried out.", stripe=True)
        return response

    return idempotency.run_once(sim.store, sim.clock, sim.in_flight, request, carry_out, pause)


def _too_many(seconds: float, stripe: bool) -> Response:
    headers = {"Retry-After": str(math.ceil(seconds))}
    message = "Request rate limit exceeded. Learn more about rate limits at docs.stripe.com/rate-limits."
    if stripe:
        return replace(error_answer(429, message, code="rate_limit"), headers=headers)
    return answer(429, {"error": {"code": "rate_limited", "message": "too many requests"}}, headers)


def _broken(status: int, message: str, stripe: bool) -> Response:
    if stripe:
        return error_answer(status, message, kind="api_error")
    return answer(status, {"error": {"code": "internal_error" if status == 500 else "unavailable", "message": message}})
