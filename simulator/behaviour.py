"""How the gateway behaves where Stripe leaves it to banks, customers and load: delays, and what customers do.

Kept in the store, so that a restart in the middle of a test changes nothing. Every default is short: people try things
out with it. Tests that need days turn the clock forward.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from simulator.store import Store
from simulator.wire import Request, Response, answer, number_field, read_object, refuse

NAME = "behaviour"
DAY = 86_400
MAX_SECONDS = 366 * DAY


@dataclass(frozen=True, kw_only=True)
class Customer:
    """What the customer does with a bank's question; shares are drawn per order from the simulator's seed."""

    #: None: nothing by itself, only on the page or by POST /customers
    confirms_after_seconds: float | None = None
    share_never: float = 0.0
    share_fails: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """Delays in seconds of the books' clock."""

    #: how far a search is behind; the docs say under a minute, and up to an hour during an outage
    search_lag_seconds: float = 2.0
    #: how long a bank debit is `processing`
    debit_seconds: float = 3.0
    #: the same for the methods that the docs call delayed ("after three minutes")
    debit_delayed_seconds: float = 180.0
    #: until a pending refund arrives, or a refund that will fail does so
    refund_seconds: float = 3.0
    #: until the cardholder disputes the charge
    dispute_seconds: float = 2.0
    #: until the bank has read the evidence
    evidence_seconds: float = 2.0
    #: until an idempotency key is forgotten
    key_seconds: float = float(DAY)
    #: the account has payment methods switched on that send customers elsewhere: confirming needs a return_url
    redirect_methods: bool = False
    customer: Customer = field(default_factory=Customer)


DEFAULT = Behaviour()


def load(tx: sqlite3.Connection) -> Behaviour:
    """Return the behaviour in force."""
    row = tx.execute("SELECT value FROM settings WHERE name = ?", (NAME,)).fetchone()
    if row is None:
        return DEFAULT
    kept = json.loads(row["value"])
    return Behaviour(**kept | {"customer": Customer(**kept["customer"])})


def show(store: Store, request: Request) -> Response:
    """GET /behaviour: every switch."""
    with store.read() as snapshot:
        return answer(200, asdict(load(snapshot)))


def replace(store: Store, request: Request) -> Response:
    """PUT /behaviour: these switches from now on, the defaults for those that are not named. 400 naming a bad field."""
    wanted = parse(read_object(request, frozenset(one.name for one in fields(Behaviour))))
    with store.write() as tx:
        tx.execute(
            "INSERT INTO settings VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            (NAME, json.dumps(asdict(wanted))),
        )
    return show(store, request)


def parse(body: Mapping[str, Any]) -> Behaviour:
    """Return the checked switches. Refuses a value out of range with 400 naming the field."""
    numbers = {name: number_field(body, name, 0, MAX_SECONDS) for name in body if name.endswith("_seconds")}
    redirects = body.get("redirect_methods", DEFAULT.redirect_methods)
    if not isinstance(redirects, bool):
        refuse(400, "bad_field", "redirect_methods must be true or false", field="redirect_methods")
    return Behaviour(**numbers, redirect_methods=redirects, customer=_customer(body.get("customer", {})))


def _customer(given: Any) -> Customer:
    known = {one.name for one in fields(Customer)}
    if not isinstance(given, dict) or given.keys() - known:
        refuse(400, "bad_field", f"customer must be an object of {', '.join(sorted(known))}", field="customer")
    after = given.get("confirms_after_seconds")
    if after is not None:
        after = number_field(given, "confirms_after_seconds", 0, MAX_SECONDS)
    shares = {name: number_field(given, name, 0, 1) for name in ("share_never", "share_fails") if name in given}
    if sum(shares.values()) > 1:
        refuse(400, "bad_field", "share_never and share_fails must not add up to more than 1", field="share_fails")
    return Customer(confirms_after_seconds=after, **shares)
