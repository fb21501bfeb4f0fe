"""Readers who ask for a large file and then read nothing of it, as a phone in a tunnel does.

There are more of them than the web server has connections to PostgreSQL. While they stall somebody else asks for an
ordinary page: unless that is answered once at least, they have stopped the shop.
"""

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psycopg

from backoffice.chaos.asking import LOOK, Asker

#: what is added to the file, so that it fits into no buffer on the way
LARGE = 8_000_000
#: how the file begins
BEGINS = b"HTTP/1.1 200"
MADE = "SELECT id::text FROM orders_export WHERE id::text = %s AND status = 'completed'"
#: as no process of ours may: what is written of an export is written once
GROW = """
    UPDATE orders_exportpart SET content = content || convert_to(repeat('x', %s), 'UTF8')
    WHERE export_id::text = %s AND position = 1
"""


@dataclass(kw_only=True)
class Readers:
    """Begins in a thread, since a file must be made first; `complaints` are the shop that stood still."""

    asker: Asker
    complaints: list[str] = field(default_factory=list)
    #: how many stalled, and how often somebody else was answered meanwhile
    stalled: int = 0
    answered: int = 0
    _threads: list[threading.Thread] = field(default_factory=list)

    def stall(self, many: int, seconds: float) -> None:
        """Have so many readers stall for so long; returns at once."""
        thread = threading.Thread(target=self._guarded, args=(many, seconds), name="readers", daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def done(self) -> bool:
        return not any(thread.is_alive() for thread in self._threads)

    def _guarded(self, many: int, seconds: float) -> None:
        try:
            file = self._large_file(f"readers-{len(self._threads)}")
            if file is not None:
                self._stall(file, many, seconds)
        except Exception as error:
            self.complaints.append(f"the readers failed: {error!r}")

    def _large_file(self, key: str) -> str | None:
        """The path of an export that was made large; None when nobody makes one."""
        # An export of no orders is refused.
        while self.asker.look("SELECT 1 FROM orders_order LIMIT 1") is None:
            if self.asker.over.wait(LOOK):
                return None
        body = {"format": "csv", "reason": "To be read slowly", "filter": {}}
        answer = self.asker.insist(f"export {key}", "exports/", key=key, json=body)
        if answer is None:
            return None
        export = str(answer.json()["id"])
        give_up = time.monotonic() + 120
        while self.asker.look(MADE, export) is None:
            if time.monotonic() > give_up or self.asker.over.wait(LOOK):
                return None
        with psycopg.connect(self.asker.doors.database_url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(GROW, [LARGE, export])
        return f"exports/{export}/download/"

    def _stall(self, path: str, many: int, seconds: float) -> None:
        with contextlib.ExitStack() as open_ones:
            readers = [reader for reader in (self._reader(path) for _ in range(many)) if reader is not None]
            for reader in readers:
                open_ones.enter_context(reader)
            until, answered = time.monotonic() + seconds, 0
            while time.monotonic() < until and not self.asker.over.wait(LOOK):
                told = self.asker.ask("GET", f"{self.asker.doors.api}tasks/")
                answered += told is not None and told.status_code == 200
            stalled = sum(_is_being_sent(reader) for reader in readers)
        self.stalled += stalled
        self.answered += answered
        if stalled and not answered and not self.asker.over.is_set():
            self.complaints.append(f"{stalled} readers stalled, and nobody else was answered for {seconds:.0f} s")

    def _reader(self, path: str) -> socket.socket | None:
        """A reader who asks for the file and reads nothing; None when nobody is there to be asked."""
        address = urlsplit(f"{self.asker.doors.api}{path}")
        words = f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}"
        reader = socket.socket()
        try:
            # Before it connects: a large window would take much of the file.
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.settimeout(5)
            reader.connect((address.hostname or "", address.port or 80))
            reader.sendall(f"{words}\r\nAuthorization: Token {self.asker.doors.token}\r\n\r\n".encode())
        except OSError:
            reader.close()
            return None
        return reader


def _is_being_sent(reader: socket.socket) -> bool:
    """Whether it got the beginning of the file: the server was not killed meanwhile, and did not refuse."""
    reader.setblocking(False)
    try:
        return reader.recv(len(BEGINS)) == BEGINS
    except OSError:
        return False
