"""The partners' own books: one SQLite file that survives `kill -9` with every answered request in it.

An effect, its line in the log of operations and the answer saved under its idempotency key are one transaction, synced
to disk before the caller hears of it. If they could part, a retry after a crash would charge twice or a charge would
be missing from the books, and the product's money tests would accuse the wrong side.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue

from simulator import schema


class Store:
    """One writer at a time, readers beside it on snapshots of their own."""

    def __init__(self, path: Path, *, durable: bool = True) -> None:
        """Open or create the file. Raises RuntimeError when a version of the simulator wrote it that is not known.

        Without `durable` a commit is not synced to disk, for tests that ask rules and kill nothing.
        """
        self._path = path
        # In WAL mode only FULL syncs the log at every commit; NORMAL would lose answered charges with the power.
        self._synchronous = "FULL" if durable else "OFF"
        self._writing = threading.Lock()
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._writer = self._connect()
        try:
            schema.prepare(self._writer)
        except RuntimeError as error:
            raise RuntimeError(f"{path}: {error}") from error
        self._writer.execute("PRAGMA journal_mode = WAL")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        return connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Hold the only write transaction: committed and synced on leaving, rolled back on an exception."""
        with self._writing:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Hold a snapshot: every query inside sees the books of one moment."""
        try:
            connection = self._readers.get_nowait()
        except Empty:
            connection = self._connect()
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.execute("ROLLBACK")
            self._readers.put(connection)

    def clear(self) -> None:
        """Forget everything, for tests."""
        with self.write() as tx:
            for statement in schema.CLEARING:
                tx.execute(statement)

    def close(self, patience_seconds: float) -> None:
        """Let a running commit end and keep every later one out; gives up after `patience_seconds`."""
        # The lock is never given back: a handler thread that comes later must not write into a closing process.
        if self._writing.acquire(timeout=patience_seconds):
            self._writer.close()
        while not self._readers.empty():
            self._readers.get().close()


def record(
    tx: sqlite3.Connection,
    *,
    partner: str,
    operation: str,
    order: str,
    object_id: str,
    key: str | None,
    currency: str | None = None,
    charged_minor: int = 0,
    refunded_minor: int = 0,
    disputed_minor: int = 0,
) -> None:
    """Write one effect into the log of operations, in the transaction of the effect itself."""
    tx.execute(
        "INSERT INTO operations (at, partner, operation, order_ref, object_id, charged_minor, refunded_minor,"
        " disputed_minor, currency, idempotency_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(time.time(), partner, operation, order, object_id),
            *(charged_minor, refunded_minor, disputed_minor, currency, key),
        ),
    )
