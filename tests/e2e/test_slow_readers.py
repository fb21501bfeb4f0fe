"""People who fetch a file and then read nothing, against the real web server: nobody else may notice."""

import contextlib
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.db import connection

from orders.models import Export
from orders.services.exports import making
from tests.e2e.engine import Engine, eventually
from tests.factories import make_order
from tests.orders.api_calls import make_token
from tests.orders.attempts_exports import make_written

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]
#: of connections; there are more readers than that
POOL = 10
READERS = 12
MEBIBYTE = 1024 * 1024


def large_export() -> Export:
    """More than any buffer between the web server and a reader holds."""
    export = make_written(make_order())
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "INSERT INTO orders_exportpart (export_id, position, order_ids) "
            "SELECT export_id, number, order_ids FROM orders_exportpart, generate_series(2, 24) AS number"
        )
        for part in export.parts.all():
            part.content = making._sealed(export, part, b"x" * MEBIBYTE)
            part.save(update_fields=["content"])
        cursor.execute("SET session_replication_role = DEFAULT")
    return export


def stalled(url: str, path: str, token: str) -> socket.socket:
    """A reader who asks and then takes nothing."""
    where = urlsplit(url)
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.settimeout(60)
    reader.connect((where.hostname, where.port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n".encode())
    return reader


@contextlib.contextmanager
def slow_readers(url: str, path: str, token: str, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as held:
        readers = [held.enter_context(contextlib.closing(stalled(url, path, token))) for _ in range(count)]
        assert {reader.recv(15) for reader in readers} == {b"HTTP/1.1 200 OK"}
        yield readers


def test_twelve_who_read_nothing_stop_nobody(running_engine: Engine) -> None:
    url = running_engine.start_web(DATABASE_POOL_SIZE=str(POOL), DOWNLOADS_AT_ONCE=str(READERS))
    token, export = make_token(User.objects.create_superuser("a-superuser"), "full"), large_export()
    headers = {"Authorization": f"Token {token}"}

    with slow_readers(url, f"/api/exports/{export.pk}/download/", token, READERS):
        began = time.monotonic()
        for path in ("/api/orders/", "/readyz"):
            assert requests.get(f"{url}{path}", headers=headers, timeout=30).status_code == 200
        # A pool without a free connection gives up after five.
        assert time.monotonic() - began < 4
        refusal = requests.get(f"{url}/api/exports/{export.pk}/download/", headers=headers, timeout=30)
        assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "5")

    def whole() -> bool:
        answer = requests.get(f"{url}/api/exports/{export.pk}/download/", headers=headers, timeout=60)
        return answer.status_code == 200 and len(answer.content) > 24 * MEBIBYTE

    eventually(whole, seconds=60, what="a place after the readers left")


def test_a_reader_who_takes_nothing_gives_the_place_back_after_a_while(running_engine: Engine) -> None:
    url = running_engine.start_web(DOWNLOADS_AT_ONCE="1", DOWNLOAD_STALL_SECONDS="1")
    token, export = make_token(User.objects.create_superuser("a-superuser"), "full"), large_export()
    path = f"/api/exports/{export.pk}/download/"

    def begins() -> bool:
        headers = {"Authorization": f"Token {token}"}
        with requests.get(f"{url}{path}", headers=headers, timeout=30, stream=True) as answer:
            return answer.status_code == 200

    with slow_readers(url, path, token, 1):
        assert not begins()
        eventually(begins, seconds=30, what="the place of a reader who takes nothing")
