"""Which address a request comes from, decided once, before anything counts or locks by it.

`X-Forwarded-For` is written by whoever sends the request: believed without a proxy of ours in front, a guesser gets a
new address for every try and can lock out others under theirs. So nobody is believed unless `TRUSTED_PROXIES` says how
many proxies stand before us; each appends the address it saw, so ours is that many places from the right.
"""

from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase


class TrustedProxies:
    """Middleware that puts the caller's address into REMOTE_ADDR."""

    sync_capable, async_capable = True, False

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        connected = request.META.get("REMOTE_ADDR", "")
        request.META["REMOTE_ADDR"] = caller(request.headers.get("X-Forwarded-For", ""), connected)
        return self.get_response(request)


def caller(forwarded: str, connected: str) -> str:
    """The address that a request comes from, by its `X-Forwarded-For` and by the connection's other end."""
    count: int = settings.TRUSTED_PROXIES
    passed = [part.strip() for part in forwarded.split(",")]
    if count and len(passed) >= count:
        # What is no address leaves the proxy's own, which is at least true.
        with suppress(ValueError):
            return str(ip_address(passed[-count]))
    return connected
