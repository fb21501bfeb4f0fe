"""Readers who stall are a violation only when they are served and nobody else is."""

import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from backoffice.chaos.asking import Asker, Doors
from backoffice.chaos.readers import Readers


class Door:
    """Lets readers in, and tells each the beginning of an answer."""

    def __init__(self, beginning: bytes) -> None:
        self.beginning = beginning
        self.door = socket.create_server(("127.0.0.1", 0))
        self.inside: list[socket.socket] = []
        threading.Thread(target=self._let_in, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.door.getsockname()[1]}/api/"

    def _let_in(self) -> None:
        while True:
            try:
                reader, _ = self.door.accept()
            except OSError:
                return
            self.inside.append(reader)
            reader.recv(4096)
            reader.sendall(self.beginning)

    def close(self) -> None:
        for one in (self.door, *self.inside):
            one.close()


class Somebody(Asker):
    """Who asks for an ordinary page meanwhile."""

    status = 200

    def ask(self, method: str, url: str, **options: Any) -> Any:
        return SimpleNamespace(status_code=self.status)


@pytest.fixture(params=[b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 503 No\r\n"], ids=["served", "refused"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    made = Door(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("status", [200, 503])
def test_the_shop_stands_still_when_only_readers_are_served(door: Door, status: int) -> None:
    doors = Doors(api=door.url, token="t", second_token="u", temporal_http="", database_url="", simulator="")
    somebody = Somebody(doors=doors)
    somebody.status = status
    readers = Readers(asker=somebody)
    readers._stall("exports/1/download/", 3, 1.0)
    served = door.beginning.startswith(b"HTTP/1.1 200")
    assert readers.stalled == (3 if served else 0)
    assert bool(readers.answered) == (status == 200)
    assert bool(readers.complaints) == (served and status == 503)


def test_a_web_server_that_is_down_has_no_readers() -> None:
    doors = Doors(
        api="http://127.0.0.1:1/api/", token="t", second_token="u", temporal_http="", database_url="", simulator=""
    )
    readers = Readers(asker=Somebody(doors=doors))
    readers._stall("exports/1/download/", 2, 0.4)
    assert (readers.stalled, readers.complaints) == (0, [])
