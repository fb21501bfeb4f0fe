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

SCHEMA_VERSION = 1

# The checks are the last line: the books cannot hold a charge above its authorisation or a refund above its charge.
SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 9999999999),
    amount_capturable INTEGER NOT NULL DEFAULT 0 CHECK (amount_capturable BETWEEN 0 AND amount),
    amount_received INTEGER NOT NULL DEFAULT 0 CHECK (amount_received BETWEEN 0 AND amount),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount_received),
    currency TEXT NOT NULL,
    capture_method TEXT NOT NULL,
    payment_method TEXT,
    status TEXT NOT NULL CHECK (status IN
        ('requires_payment_method', 'requires_confirmation', 'requires_capture', 'succeeded', 'canceled')),
    latest_charge TEXT,
    last_payment_error TEXT,
    description TEXT,
    metadata TEXT NOT NULL,
    cancellation_reason TEXT,
    canceled_at INTEGER,
    created INTEGER NOT NULL,
    CHECK (status = 'requires_capture' OR amount_capturable = 0),
    CHECK ((status = 'succeeded') = (amount_received > 0))
);
CREATE INDEX IF NOT EXISTS intents_order ON intents (order_ref);
CREATE TABLE IF NOT EXISTS intent_metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, intent_seq INTEGER NOT NULL REFERENCES intents (seq),
    PRIMARY KEY (key, value, intent_seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL REFERENCES intents (id),
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    charge TEXT NOT NULL,
    reason TEXT,
    metadata TEXT NOT NULL,
    created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS refunds_intent ON refunds (intent_id);
CREATE INDEX IF NOT EXISTS refunds_order ON refunds (order_ref);
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, path TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, request_id TEXT NOT NULL, created INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS shipments (
    reference TEXT PRIMARY KEY,
    order_ref TEXT NOT NULL,
    fingerprint TEXT,                 -- NULL: a tombstone, cancelled before it was ever booked
    parcels INTEGER, country TEXT, weight_grams INTEGER,
    tracking_number TEXT UNIQUE,
    cost_minor INTEGER CHECK (cost_minor >= 0),
    status TEXT NOT NULL CHECK (status IN ('booked', 'in_transit', 'delivered', 'cancelled')),
    CHECK (fingerprint IS NOT NULL OR status = 'cancelled')
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS shipments_order ON shipments (order_ref);
CREATE TABLE IF NOT EXISTS shipment_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, reference TEXT NOT NULL REFERENCES shipments (reference),
    status TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS shipment_events_reference ON shipment_events (reference);
CREATE TABLE IF NOT EXISTS operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    partner TEXT NOT NULL,
    operation TEXT NOT NULL,
    order_ref TEXT NOT NULL,
    object_id TEXT NOT NULL,
    charged_minor INTEGER NOT NULL DEFAULT 0,
    refunded_minor INTEGER NOT NULL DEFAULT 0,
    currency TEXT,
    idempotency_key TEXT
);
CREATE INDEX IF NOT EXISTS operations_order ON operations (order_ref, seq);
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, rule TEXT NOT NULL, remaining INTEGER CHECK (remaining >= 0)
);
CREATE TABLE IF NOT EXISTS fault_draws (
    fault_id INTEGER NOT NULL REFERENCES faults (id) ON DELETE CASCADE, subject TEXT NOT NULL, drawn INTEGER NOT NULL,
    PRIMARY KEY (fault_id, subject)
) WITHOUT ROWID;
"""

# Children first, so that no row is left pointing at nothing on the way.
CLEARING = (
    "DELETE FROM fault_draws",
    "DELETE FROM faults",
    "DELETE FROM operations",
    "DELETE FROM shipment_events",
    "DELETE FROM shipments",
    "DELETE FROM idempotency",
    "DELETE FROM refunds",
    "DELETE FROM intent_metadata",
    "DELETE FROM intents",
)


class Store:
    """One writer at a time, readers beside it on snapshots of their own."""

    def __init__(self, path: Path) -> None:
        """Open or create the file. Raises RuntimeError when another version of the simulator wrote it."""
        self._path = path
        self._writing = threading.Lock()
        self._readers: LifoQueue[sqlite3.Connection] = LifoQueue()
        self._writer = self._connect()
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):
            raise RuntimeError(f"{path} has store version {version}, this simulator writes {SCHEMA_VERSION}")
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.executescript(f"BEGIN IMMEDIATE; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, cached_statements=256)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA busy_timeout = 5000")
        connection.execute("PRAGMA foreign_keys = ON")
        # In WAL mode only FULL syncs the log at every commit; NORMAL would lose answered charges with the power.
        connection.execute("PRAGMA synchronous = FULL")
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
            for statement in CLEARING:
                tx.execute(statement)

    def close(self, patience_seconds: float) -> None:
        """Let a running commit end and keep every later one out; gives up after `patience_seconds`."""
        # The lock is never given back: a handler thread that comes later must not write into a closing process.
        if self._writing.acquire(timeout=patience_seconds):
            self._writer.close()


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
) -> None:
    """Write one effect into the log of operations, in the transaction of the effect itself."""
    tx.execute(
        "INSERT INTO operations (at, partner, operation, order_ref, object_id, charged_minor, refunded_minor,"
        " currency, idempotency_key) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (time.time(), partner, operation, order, object_id, charged_minor, refunded_minor, currency, key),
    )
