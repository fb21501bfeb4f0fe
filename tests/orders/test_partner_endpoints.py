"""Whoever writes a playbook, or names an endpoint, reaches no machine around us; one row for each way."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import urllib3

from orders.errors import InvalidInput, PartnerUnavailable, RequestRefused
from orders.models import PartnerEndpoint
from orders.partners import endpoints

INSIDE = "inside of a network"
HTTPS = "begins with https"
HOST = "A host is needed"

#: what makes the address one that is refused -> (address, words of the refusal)
REFUSED = {
    "loopback": ("https://127.0.0.1/", INSIDE),
    "loopback, another of them": ("https://127.8.9.10/", INSIDE),
    "loopback by name": ("https://localhost/", INSIDE),
    "loopback, decimal": ("https://2130706433/", INSIDE),
    "loopback, hexadecimal": ("https://0x7f000001/", INSIDE),
    "loopback, octal": ("https://0177.0.0.1/", INSIDE),
    "loopback, short": ("https://127.1/", INSIDE),
    "loopback, wide digits": ("https://\uff11\uff12\uff17.0.0.1/", INSIDE),
    "any address": ("https://0.0.0.0/", INSIDE),
    "any address, short": ("https://0/", INSIDE),
    "private, 10": ("https://10.0.0.1/", INSIDE),
    "private, 172.16": ("https://172.16.3.4/", INSIDE),
    "private, 192.168": ("https://192.168.1.1/", INSIDE),
    "carrier-grade NAT": ("https://100.64.0.1/", INSIDE),
    "link-local, metadata of a cloud": ("https://169.254.169.254/latest/meta-data/", INSIDE),
    "multicast": ("https://224.0.0.1/", INSIDE),
    "broadcast": ("https://255.255.255.255/", INSIDE),
    "reserved": ("https://240.0.0.1/", INSIDE),
    "documentation": ("https://192.0.2.1/", INSIDE),
    "benchmarking": ("https://198.18.0.1/", INSIDE),
    "IPv6 loopback": ("https://[::1]/", INSIDE),
    "IPv6 any": ("https://[::]/", INSIDE),
    "IPv6 link-local": ("https://[fe80::1]/", INSIDE),
    "IPv6 link-local with a zone": ("https://[fe80::1%25lo]/", "cannot be read"),
    "IPv6 unique local": ("https://[fd00:ec2::254]/", INSIDE),
    "IPv6 site-local": ("https://[fec0::1]/", INSIDE),
    "IPv6 multicast": ("https://[ff02::1]/", INSIDE),
    "IPv6 documentation": ("https://[2001:db8::1]/", INSIDE),
    "IPv4-mapped": ("https://[::ffff:127.0.0.1]/", INSIDE),
    "IPv4-mapped, hexadecimal": ("https://[::ffff:a9fe:a9fe]/", INSIDE),
    "IPv4-compatible": ("https://[::127.0.0.1]/", INSIDE),
    "6to4 of a private address": ("https://[2002:7f00:1::]/", INSIDE),
    "NAT64 of a private address": ("https://[64:ff9b::10.0.0.1]/", INSIDE),
    "NAT64 of a network's own": ("https://[64:ff9b:1::10.0.0.1]/", INSIDE),
    "IPv4-translated": ("https://[::ffff:0:127.0.0.1]/", INSIDE),
    "Teredo of a private address": ("https://[2001:0:53aa:64c:0:0:80ff:fffe]/", INSIDE),
    "user name": ("https://user@example.com/", HOST),
    "user name and password": ("https://user:secret@example.com/", HOST),
    "a host that hides behind a user name": ("https://example.com@127.0.0.1/", HOST),
    "empty user name": ("https://@127.0.0.1/", HOST),
    "no host": ("https:///path", HOST),
    "no scheme": ("example.com/hook", HTTPS),
    "plain http": ("http://example.com/", HTTPS),
    "a file": ("file:///etc/passwd", HTTPS),
    "gopher": ("gopher://127.0.0.1:70/", HTTPS),
    "ftp": ("ftp://example.com/", HTTPS),
    "ldap": ("ldap://127.0.0.1/", HTTPS),
    "data": ("data:text/plain,hello", HTTPS),
    "a port that is no number": ("https://example.com:port/", "port is no number"),
    "a port that is too large": ("https://example.com:70000/", "port is no number"),
    "a bracket that is not closed": ("https://[::1/", "cannot be read"),
    "a backslash": ("https://127.0.0.1\\@example.com/", "cannot be read"),
    "a line break": ("https://example.com/\r\nHost: inside", "cannot be read"),
    "a space": ("https://example.com /", "cannot be read"),
}


def resolver(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name have these addresses, the next one each time it is asked; answers what was asked."""
    asked: list[str] = []

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = addresses[min(len(asked), len(addresses)) - 1]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found.split()]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize("kind", REFUSED)
def test_an_address_that_is_not_of_the_open_internet_is_refused(kind: str) -> None:
    address, words = REFUSED[kind]
    with pytest.raises(InvalidInput, match=words):
        endpoints.require_allowed(address)


@pytest.mark.parametrize(
    "found", ["10.0.0.1", "127.0.0.1", "93.184.215.14 10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1"]
)
def test_a_name_that_leads_inside_is_refused_also_when_only_one_of_its_addresses_does(
    monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    resolver(monkeypatch, found)
    with pytest.raises(InvalidInput, match=INSIDE):
        endpoints.require_allowed("https://partner.example/")


def test_a_name_is_asked_once_and_the_connection_goes_to_what_was_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolver(monkeypatch, "93.184.215.14", "127.0.0.1")
    pool, path = endpoints._pool("https://partner.example/hook?a=1")
    assert (asked, pool.host, path) == (["partner.example"], "93.184.215.14", "/hook?a=1")
    assert isinstance(pool, urllib3.HTTPSConnectionPool)
    assert pool.conn_kw["server_hostname"] == "partner.example"
    assert pool.assert_hostname == "partner.example"
    assert pool.cert_reqs in {None, "CERT_REQUIRED", ssl.CERT_REQUIRED}


def test_only_the_port_that_is_named_of_a_host_of_ours_is_allowed(settings: Any) -> None:
    settings.PLAYBOOK_ENDPOINT_HOSTS = ["127.0.0.1:7070"]
    assert endpoints.require_allowed("http://127.0.0.1:7070/hook") == "127.0.0.1"
    for other in ("https://127.0.0.1/", "https://127.0.0.1:7071/", "https://127.0.0.2:7070/"):
        with pytest.raises(InvalidInput, match=INSIDE):
            endpoints.require_allowed(other)


@contextmanager
def partner(answers: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers one connection after another as the function does; answers its "host:port"."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65_536)
                    try:
                        answers(connection)
                    except OSError:
                        continue

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def call(settings: Any, host: str) -> str:
    settings.PLAYBOOK_ENDPOINT_HOSTS = [host]
    PartnerEndpoint.objects.create(name="hook", url=f"http://{host}/")
    return endpoints.call("hook", order="SO-1", text="hello", key="k")


@pytest.mark.django_db
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(settings: Any, status: int) -> None:
    visits: list[bytes] = []

    def redirect(connection: socket.socket) -> None:
        visits.append(b"")
        connection.sendall(b"HTTP/1.1 %d Elsewhere\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % status)

    with partner(redirect) as host, pytest.raises(RequestRefused, match=f"elsewhere .status {status}"):
        call(settings, host)
    assert len(visits) == 1


@pytest.mark.django_db
def test_an_answer_that_is_too_large_is_refused_and_one_that_is_long_is_cut(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "MAX_BYTES", 5_000)

    def answer_with(size: int) -> Callable[[socket.socket], None]:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        return lambda connection: connection.sendall(head + b"x" * size)

    with partner(answer_with(5_000)) as host:
        assert call(settings, host) == "x" * endpoints.MAX_KEPT
    PartnerEndpoint.objects.all().delete()
    with partner(answer_with(5_001)) as host, pytest.raises(InvalidInput, match="more than 5000 bytes"):
        call(settings, host)


@pytest.mark.django_db
def test_a_partner_that_answers_drop_by_drop_keeps_nobody_longer_than_the_whole_call_may_last(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoints, "SECONDS", 0.5)
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(200):
            if over.wait(0.1):
                return
            connection.sendall(b"x")

    began = time.monotonic()
    with partner(drip) as host:
        try:
            with pytest.raises(PartnerUnavailable, match="did not answer"):
                call(settings, host)
        finally:
            over.set()
    assert time.monotonic() - began < 5
