"""A partner that answers every call with the same status, headers and body, or with nothing at all."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pytest_django.fixtures import Settings

from orders.models import PartnerEndpoint
from orders.partners import payments as gateway

#: as every partner words an error; the type is the payment gateway's
REFUSAL = {"error": {"type": "invalid_request_error", "code": "bad_field", "field": "amount", "message": "No."}}


@dataclass(kw_only=True)
class Answering:
    url: str = ""
    #: None hangs up without a word
    status: int | None = 200
    body: str = json.dumps(REFUSAL)
    headers: dict[str, str] = field(default_factory=dict)
    #: method and path of every call
    calls: list[str] = field(default_factory=list)


@contextmanager
def answering(settings: Settings) -> Iterator[Answering]:
    """Every partner of ours, and the endpoint "hook" of playbooks, is this one server."""
    told = Answering()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.calls.append(f"{self.command} {self.path}")
            if told.status is None:
                self.close_connection = True
                return
            body = told.body.encode()
            self.send_response(told.status)
            for name, value in {**told.headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that the base class calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    settings.PAYMENTS_URL = settings.CARRIER_URL = settings.FRAUD_URL = told.url
    settings.RATES_URL = settings.ADDRESSES_URL = told.url
    settings.STRIPE_API_KEY = "sk_test_answering"
    settings.PLAYBOOK_ENDPOINT_HOSTS = [told.url.removeprefix("http://")]
    PartnerEndpoint.objects.get_or_create(name="hook", defaults={"url": f"{told.url}/hook"})
    # The client keeps the address that it was made with.
    gateway.client.cache_clear()
    try:
        yield told
    finally:
        gateway.client.cache_clear()
        server.shutdown()
        server.server_close()
