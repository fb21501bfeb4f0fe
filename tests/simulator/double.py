"""The gateway inside the test's own process, without sockets: for rules that need many calls and days of time.

Everything that is about connections, kills and threads is tested over HTTP on a process (`process.py`).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from simulator.partners import Simulator
from simulator.routing import dispatch
from simulator.store import Store
from simulator.wire import Request, Response, new_id

BASE_URL = "http://gateway.test"
START = 1_800_000_000.0


@dataclass(kw_only=True)
class Double:
    """One gateway on a store of its own; its computer's clock stands still, the books' clock is turned by hand."""

    sim: Simulator

    @classmethod
    def on(cls, path: Path, seed: str = "0") -> "Double":
        """Open one on a store file that need not survive a power cut."""
        store = Store(path, durable=False)
        return cls(sim=Simulator(store=store, seed=seed, base_url=BASE_URL, allow_reset=True, wall=lambda: START))

    def send(
        self, method: str, path: str, form: dict[str, Any] | None = None, *, key: str | None = None, body: Any = None
    ) -> Response:
        """Send one call as the official client encodes it, or with `body` as JSON."""
        pairs = flat(form or {})
        headers = {"authorization": "Bearer sk_test_x"} | ({"idempotency-key": key} if key else {})
        answered = dispatch(
            self.sim,
            Request(
                method=method,
                path=path,
                segments=tuple(path.strip("/").split("/")),
                query=pairs if method == "GET" else {},
                headers=headers,
                body=json.dumps(body).encode() if body is not None else urlencode(pairs).encode(),
                id=new_id("req"),
            ),
        )
        assert isinstance(answered, Response), "the gateway said nothing"
        return answered

    def call(self, method: str, path: str, form: dict[str, Any] | None = None, **more: Any) -> tuple[int, Any]:
        """Send one call and return status and parsed answer."""
        answered = self.send(method, path, form, **more)
        return answered.status, json.loads(answered.text) if answered.text.startswith("{") else answered.text

    def ok(self, method: str, path: str, form: dict[str, Any] | None = None, **more: Any) -> Any:
        """Send one call that must be answered with 2xx and return the answer."""
        status, answered = self.call(method, path, form, **more)
        assert 200 <= status < 300, (status, answered)
        return answered

    def refused(self, method: str, path: str, form: Any = None, **more: Any) -> tuple[int, str | None]:
        """Send one call that must be refused and return its status and error code."""
        status, answered = self.call(method, path, form, **more)
        assert status >= 400, answered
        return status, answered["error"].get("code")

    def intent(self, method: str | None = "pm_card_visa", *, order: str = "o-1", **form: Any) -> Any:
        """Create an intent of 25.00 GBP and return the answer's object, also that of a decline."""
        given = {"amount": 2500, "currency": "gbp", "payment_method": method, "metadata": {"order": order}} | form
        _, answered = self.call(
            "POST", "/v1/payment_intents", {name: value for name, value in given.items() if value is not None}
        )
        return answered["error"]["payment_intent"] if "error" in answered else answered

    def paid(self, method: str = "pm_card_visa", **form: Any) -> Any:
        """Create and confirm an intent at once."""
        return self.intent(method, confirm="true", **form)

    def get(self, intent_id: str) -> Any:
        """Retrieve an intent."""
        return self.ok("GET", f"/v1/payment_intents/{intent_id}")

    def advance(self, seconds: float) -> None:
        """Turn the clock of the books forward."""
        self.ok("POST", "/clock", body={"advance_seconds": seconds})

    def behave(self, **switches: Any) -> None:
        """Set the switches, the others to their defaults."""
        self.ok("PUT", "/behaviour", body=switches)

    def fault(self, **rule: Any) -> None:
        """Switch one fault on."""
        self.ok("POST", "/faults", body=rule)

    def books(self, order: str = "o-1") -> Any:
        """What the oracle says about one order."""
        return self.ok("GET", "/oracle/orders", {"order": order})["orders"].get(order)

    def events(self, **form: Any) -> list[str]:
        """The types of the events, oldest first."""
        return [event["type"] for event in reversed(self.ok("GET", "/v1/events", {"limit": 100, **form})["data"])]


def flat(form: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Return nested parameters as Stripe's client writes them: a[b], a[0]."""
    pairs: dict[str, str] = {}
    for name, value in form.items():
        field_name = f"{prefix}[{name}]" if prefix else str(name)
        if isinstance(value, dict):
            pairs |= flat(value, field_name)
        elif isinstance(value, list):
            pairs |= flat(dict(enumerate(value)), field_name)
        else:
            pairs[field_name] = str(value)
    return pairs
