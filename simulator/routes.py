"""Every path of the partners, and the function behind it."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from simulator import (
    addresses,
    behaviour,
    carrier,
    charges,
    customers,
    dispute_calls,
    events,
    fraud,
    intents,
    oracle,
    payments,
    rates,
    refunds,
    searching,
    webhooks,
)
from simulator.call_facts import facts_of
from simulator.context import Context
from simulator.partners import Simulator
from simulator.store import Store
from simulator.wire import Request, Response, answer, refuse

INTENT = "/v1/payment_intents/{}"
ENDPOINT = "/v1/webhook_endpoints/{}"
SHIPMENT = "/carrier/shipments/{}"

Handler = Callable[[Simulator, Request], Response]
Effect = Callable[[Simulator, Request, sqlite3.Connection], Response]
Rule = Callable[[Context, Request], Response]
Look = Callable[[Store, Request], Response]


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


def _call(method: str, path: str, name: str, rule: Rule) -> Route:
    """Return a call of the payment API that changes something."""
    return _route(method, path, f"payments:{name}", effect=lambda sim, req, tx: rule(sim.context(tx, req), req))


def _look(path: str, name: str, show: Look) -> Route:
    """Return a call of the payment API that only shows something."""
    return _route("GET", path, f"payments:{name}", lambda sim, req: show(sim.store, req))


ROUTES = (
    _call("POST", "/v1/payment_intents", "payment_intents.create", payments.create),
    _route("GET", "/v1/payment_intents", "payments:payment_intents.list",
           lambda sim, req: intents.index(sim.store, req, sim.base_url)),
    # Before {}: otherwise "search" would be taken for an id.
    _route("GET", "/v1/payment_intents/search", "payments:payment_intents.search",
           lambda sim, req: searching.search(sim.store, sim.clock, req)),
    _route("GET", INTENT, "payments:payment_intents.retrieve",
           lambda sim, req: intents.retrieve(sim.store, req, sim.base_url)),
    _call("POST", INTENT, "payment_intents.update", payments.update),
    _call("POST", f"{INTENT}/confirm", "payment_intents.confirm", payments.confirm),
    _call("POST", f"{INTENT}/capture", "payment_intents.capture", payments.capture),
    _call("POST", f"{INTENT}/cancel", "payment_intents.cancel", payments.cancel),
    _look("/v1/charges", "charges.list", charges.index),
    _look("/v1/charges/{}", "charges.retrieve", charges.retrieve),
    _call("POST", "/v1/refunds", "refunds.create", refunds.create),
    _look("/v1/refunds", "refunds.list", refunds.index),
    _look("/v1/refunds/{}", "refunds.retrieve", refunds.retrieve),
    _call("POST", "/v1/refunds/{}", "refunds.update", refunds.update),
    _call("POST", "/v1/refunds/{}/cancel", "refunds.cancel", refunds.cancel),
    _route("POST", "/v1/test_helpers/refunds/{}/expire",
           effect=lambda sim, req, tx: refunds.expire(sim.context(tx, req), req)),
    _look("/v1/disputes", "disputes.list", dispute_calls.index),
    _look("/v1/disputes/{}", "disputes.retrieve", dispute_calls.retrieve),
    _call("POST", "/v1/disputes/{}", "disputes.update", dispute_calls.update),
    _call("POST", "/v1/disputes/{}/close", "disputes.close", dispute_calls.close),
    _look("/v1/events", "events.list", events.index),
    _look("/v1/events/{}", "events.retrieve", events.retrieve),
    _call("POST", "/v1/webhook_endpoints", "webhook_endpoints.create", webhooks.create),
    _look("/v1/webhook_endpoints", "webhook_endpoints.list", webhooks.index),
    _look(ENDPOINT, "webhook_endpoints.retrieve", webhooks.retrieve),
    _call("POST", ENDPOINT, "webhook_endpoints.update", webhooks.update),
    _route("DELETE", ENDPOINT, "payments:webhook_endpoints.delete",
           lambda sim, req: webhooks.delete(sim.store, req)),
    _route("GET", "/paid", handler=lambda sim, req: customers.paid(req)),
    _route("GET", "/pay/{}/{}", handler=lambda sim, req: customers.page(sim.store, req)),
    _route("POST", "/pay/{}/{}", effect=lambda sim, req, tx: customers.submit(sim.context(tx), req)),
    _route("POST", "/customers/{}", effect=lambda sim, req, tx: customers.answer_for(sim.context(tx), req)),
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
    _route("GET", "/behaviour", handler=lambda sim, req: behaviour.show(sim.store, req)),
    _route("PUT", "/behaviour", handler=lambda sim, req: behaviour.replace(sim.store, req)),
    _route("GET", "/clock", handler=lambda sim, req: sim.clock.show(req)),
    _route("POST", "/clock", handler=lambda sim, req: _advance(sim, req)),
    _route("GET", "/oracle/orders", handler=lambda sim, req: oracle.orders(sim.store, req)),
    _route("GET", "/oracle/operations", handler=lambda sim, req: oracle.operations(sim.store, req)),
    _route("GET", "/oracle/summary", handler=lambda sim, req: oracle.summary(sim.store, req)),
    _route("GET", "/health", handler=lambda sim, req: answer(200, {"ok": True})),
    _route("DELETE", "/store", handler=lambda sim, req: _reset(sim)),
)  # fmt: skip


def _score(sim: Simulator, request: Request) -> Response:
    forced = False
    if sim.faults.rules:
        with sim.store.write() as tx:
            forced = sim.faults.declines(tx, "fraud", "scores.create", facts_of(sim.store, request))
    return fraud.score(request, seed=sim.seed, forced=forced)


def _advance(sim: Simulator, request: Request) -> Response:
    told = sim.clock.advance(request)
    sim.catch_up()
    return told


def _reset(sim: Simulator) -> Response:
    if not sim.allow_reset:
        refuse(403, "reset_not_allowed", "start the simulator with --allow-reset to clear its store")
    sim.store.clear()
    sim.faults.reload()
    return answer(200, {"ok": True})
