"""How the tests speak to the simulator: the official Stripe client, and plain HTTP for the rest."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import requests
import stripe

T = TypeVar("T")

NO_BOOKS: dict[str, Any] = {
    "currency": None,
    "intents": 0,
    "charged_minor": 0,
    "refunded_minor": 0,
    "net_minor": 0,
    "captures": 0,
    "refunds": 0,
    "refunds_failed": 0,
    "refund_failed_minor": 0,
    "disputes": 0,
    "disputed_minor": 0,
    "processing_minor": 0,
    "statuses": {},
    "open_authorized_minor": 0,
    "uncancelled_intents": 0,
    "shipments_booked": 0,
    "shipments_cancelled": 0,
}


class Http:
    """A session against one simulator; answers are (status, parsed body)."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = requests.Session()
        self.session.headers["Authorization"] = "Bearer sk_test_x"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.session.close()

    def request(self, method: str, path: str, body: Any = None, **more: Any) -> tuple[int, Any]:
        """Send JSON (or keyword arguments of requests) and return status and parsed body."""
        if body is not None:
            more["json"] = body
        response = self.session.request(method, f"{self.url}{path}", timeout=more.pop("timeout", 10), **more)
        return response.status_code, response.json()

    def fault(self, **rule: Any) -> dict[str, Any]:
        """Switch one fault on."""
        status, body = self.request("POST", "/faults", rule)
        assert status == 201, body
        return dict(body)

    def advance(self, seconds: float) -> None:
        """Turn the clock of the books forward."""
        status, body = self.request("POST", "/clock", {"advance_seconds": seconds})
        assert status == 200, body

    def books(self, order: str) -> dict[str, Any]:
        """Return what the oracle says about one order."""
        status, body = self.request("GET", "/oracle/orders", params={"order": order})
        assert status == 200, body
        return dict(body["orders"].get(order, NO_BOOKS))

    def operations(self, order: str) -> list[str]:
        """Return the names of the effects of one order, oldest first."""
        _, body = self.request("GET", "/oracle/operations", params={"order": order})
        return [operation["operation"] for operation in body["operations"]]


def stripe_client(url: str, timeout: float = 10) -> stripe.StripeClient:
    """Return the official client as the product configures it: no retries of its own."""
    return stripe.StripeClient(
        "sk_test_x",
        base_addresses={"api": url},
        max_network_retries=0,
        http_client=stripe.RequestsClient(timeout=timeout),
    )


def intent(client: stripe.StripeClient, order: str, key: str | None = None, **params: Any) -> stripe.PaymentIntent:
    """Create a payment intent of 25.00 GBP for the order, on a good card unless told otherwise."""
    base: dict[str, Any] = {"amount": 2500, "currency": "gbp", "payment_method": "pm_card_visa"}
    base |= {"metadata": {"order": order}} | params
    return client.v1.payment_intents.create(
        {name: value for name, value in base.items() if value is not None},
        {"idempotency_key": key} if key else {},
    )


def together(calls: list[Callable[[], T]]) -> list[T | Exception]:
    """Run the calls at once, each in a thread, and return results or exceptions in order."""

    def safely(call: Callable[[], T]) -> T | Exception:
        try:
            return call()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(safely, calls))
