"""Endpoints that playbooks may call by name, and nothing else on the network.

Whoever writes a playbook must not be able to reach the machines around us. An administrator names the address; it is
resolved once, every address that it has must be public, and the connection goes to exactly the one that was judged, so
a name that changes its address in between gains nothing. Redirects are not followed. Addresses of our own network are
allowed one by one in `PLAYBOOK_ENDPOINT_HOSTS` ("host:port").
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import time
from urllib.parse import urlsplit

import certifi
import urllib3
from django.conf import settings

from orders.connections import give_back
from orders.errors import InvalidInput, PartnerUnavailable, RequestRefused
from orders.models import PartnerEndpoint
from orders.partners import statuses

MAX_BYTES = 1_000_000
#: of the answer that is kept as the step's result
MAX_KEPT = 2_000
SECONDS = 10.0


def call(name: str, *, order: str, text: str, key: str) -> str:
    """Post the order's number and the text; answers what the endpoint said, cut to `MAX_KEPT` characters.

    Raises `InvalidInput` for a name that is not known or an address that is not allowed, `RequestRefused` when the
    endpoint refuses, `PartnerUnavailable` when there is no answer or one that says "later".
    """
    endpoint = PartnerEndpoint.objects.filter(name=name, enabled=True).first()
    if endpoint is None:
        raise InvalidInput("endpoint", f"There is no endpoint {name}.")
    pool, path = _pool(endpoint.url)
    body = json.dumps({"order": order, "text": text}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, "Host": urlsplit(endpoint.url).netloc}
    give_back()
    try:
        with pool.request(
            "POST", path, body=body, headers=headers, redirect=False, preload_content=False, retries=False
        ) as answer:
            told = _read(answer, time.monotonic() + SECONDS)
    except (urllib3.exceptions.HTTPError, OSError) as silence:
        raise PartnerUnavailable(f"{name} did not answer: {type(silence).__name__}.") from silence
    after = answer.headers.get("Retry-After", "")
    if answer.status == 409:
        # The first request with our Idempotency-Key is still under way (draft-ietf-httpapi-idempotency-key-header).
        raise statuses.busy(f"{name} is still busy with this request.", after)
    if 300 <= answer.status < 400:
        raise RequestRefused(f"{name} refuses our request: it sends us elsewhere (status {answer.status}).")
    error = statuses.error_of(name, answer.status, retry_after=after)
    if error is not None:
        raise error
    if len(told) > MAX_BYTES:
        raise InvalidInput("endpoint", f"{name} answered with more than {MAX_BYTES} bytes.")
    return told.decode(errors="replace").replace("\x00", "")[:MAX_KEPT]


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The answer, as far as it is read at all. Raises `TimeoutError` for one that comes drop by drop."""
    told = b""
    while len(told) <= MAX_BYTES and (piece := answer.read1(65_536)):
        told += piece
        if time.monotonic() > deadline:
            raise TimeoutError
    return told


def require_allowed(url: str) -> str:
    """The network address to connect to. Raises `InvalidInput` unless the URL may be called."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidInput("url", "The address cannot be read.") from None
    # What other programs take for the end of a host, or drop: nobody may judge another host than is called.
    if re.search(r"[\s\\\x00-\x1f]", url) or "%" in parts.netloc:
        raise InvalidInput("url", "The address cannot be read.")
    host = parts.hostname or ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise InvalidInput("url", "The port is no number.") from None
    ours = f"{host}:{port}" in settings.PLAYBOOK_ENDPOINT_HOSTS
    if parts.scheme != "https" and not (ours and parts.scheme == "http"):
        raise InvalidInput("url", "An address that begins with https:// is needed.")
    if not host or "@" in parts.netloc:
        raise InvalidInput("url", "A host is needed, and no user name or password.")
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise PartnerUnavailable(f"{host} has no address: {type(error).__name__}.") from error
    if not ours and not all(is_public(one) for one in found):
        raise InvalidInput("url", f"{host} is an address inside of a network; only public ones may be called.")
    return sorted(found)[0]


def is_public(address: str) -> bool:
    """Whether an address belongs to the open internet, however it is written (IPv4 inside of IPv6 too)."""
    try:
        found = ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is not None:
            return is_public(str(inner))
        if found in ipaddress.ip_network("64:ff9b::/96"):
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        # Outside of it are IPv4 addresses in other clothes, and what a network gives itself.
        if found not in ipaddress.ip_network("2000::/3"):
            return False
    return found.is_global and not found.is_multicast


def _pool(url: str) -> tuple[urllib3.HTTPConnectionPool, str]:
    """A connection to the address that was judged, and the path on it."""
    address = require_allowed(url)
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"
    timeout = urllib3.Timeout(total=SECONDS)
    if parts.scheme == "http":
        return urllib3.HTTPConnectionPool(address, parts.port or 80, timeout=timeout), path
    pool = urllib3.HTTPSConnectionPool(
        address,
        parts.port or 443,
        timeout=timeout,
        server_hostname=parts.hostname,
        assert_hostname=parts.hostname,
        ca_certs=certifi.where(),
    )
    return pool, path
