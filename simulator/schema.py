"""The tables of the partners' books, and how a file of an older simulator becomes one of this.

The checks are the last line: the books cannot hold a charge above its authorisation, or money that went back or was
withdrawn above what was taken, whatever a rule in the code forgets.
"""

import sqlite3

SCHEMA_VERSION = 2

SCHEMA = """
CREATE TABLE IF NOT EXISTS intents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    client_secret TEXT NOT NULL,
    action_secret TEXT NOT NULL,
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount BETWEEN 1 AND 9999999999),
    amount_capturable INTEGER NOT NULL DEFAULT 0 CHECK (amount_capturable BETWEEN 0 AND amount),
    amount_received INTEGER NOT NULL DEFAULT 0 CHECK (amount_received BETWEEN 0 AND amount),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded >= 0),   -- on its way or arrived
    amount_disputed INTEGER NOT NULL DEFAULT 0 CHECK (amount_disputed >= 0),   -- withdrawn and not reinstated
    currency TEXT NOT NULL,
    capture_method TEXT NOT NULL,
    confirmation_method TEXT NOT NULL DEFAULT 'automatic',
    payment_method TEXT,
    payment_method_types TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('requires_payment_method', 'requires_confirmation', 'requires_action',
        'processing', 'requires_capture', 'canceled', 'succeeded')),
    latest_charge TEXT,
    last_payment_error TEXT,
    return_url TEXT,
    authenticated INTEGER NOT NULL DEFAULT 0,   -- the customer confirmed, and the shop has to confirm again
    description TEXT,
    metadata TEXT NOT NULL,
    extras TEXT NOT NULL DEFAULT '{}',
    cancellation_reason TEXT,
    canceled_at INTEGER,
    created INTEGER NOT NULL,
    CHECK (status = 'requires_capture' OR amount_capturable = 0),
    CHECK ((status = 'succeeded') = (amount_received > 0)),
    CHECK (amount_refunded + amount_disputed <= amount_received)
);
CREATE INDEX IF NOT EXISTS intents_order ON intents (order_ref);
CREATE INDEX IF NOT EXISTS intents_created ON intents (created, seq);
-- What a search may look into: every key and value that the intent ever carried.
CREATE TABLE IF NOT EXISTS intent_metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, intent_seq INTEGER NOT NULL REFERENCES intents (seq),
    PRIMARY KEY (key, value, intent_seq)
) WITHOUT ROWID;
-- What a search shows: the intent as it was at each change, for a search that lags behind shows the past.
CREATE TABLE IF NOT EXISTS search_documents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, intent_seq INTEGER NOT NULL REFERENCES intents (seq),
    written_at REAL NOT NULL, body TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS search_documents_intent ON search_documents (intent_seq, seq);
CREATE TABLE IF NOT EXISTS charges (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL REFERENCES intents (id),
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    amount_captured INTEGER NOT NULL DEFAULT 0 CHECK (amount_captured BETWEEN 0 AND amount),
    amount_refunded INTEGER NOT NULL DEFAULT 0 CHECK (amount_refunded BETWEEN 0 AND amount_captured),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('succeeded', 'pending', 'failed')),
    disputed INTEGER NOT NULL DEFAULT 0,
    payment_method TEXT NOT NULL,
    failure_code TEXT,
    failure_message TEXT,
    outcome_reason TEXT,
    balance_transaction TEXT,
    metadata TEXT NOT NULL,
    description TEXT,
    created INTEGER NOT NULL,
    CHECK (status = 'succeeded' OR amount_captured = 0)
);
CREATE INDEX IF NOT EXISTS charges_intent ON charges (intent_id);
CREATE INDEX IF NOT EXISTS charges_created ON charges (created, seq);
CREATE TABLE IF NOT EXISTS refunds (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL REFERENCES intents (id),
    charge TEXT NOT NULL REFERENCES charges (id),
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    currency TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('pending', 'requires_action', 'succeeded', 'failed', 'canceled')),
    reason TEXT,
    pending_reason TEXT,
    failure_reason TEXT,
    balance_transaction TEXT,
    failure_balance_transaction TEXT,
    metadata TEXT NOT NULL,
    created INTEGER NOT NULL,
    CHECK ((status IN ('failed', 'canceled')) = (failure_reason IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS refunds_intent ON refunds (intent_id);
CREATE INDEX IF NOT EXISTS refunds_order ON refunds (order_ref);
CREATE INDEX IF NOT EXISTS refunds_created ON refunds (created, seq);
CREATE TABLE IF NOT EXISTS disputes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    intent_id TEXT NOT NULL REFERENCES intents (id),
    charge TEXT NOT NULL REFERENCES charges (id),
    order_ref TEXT NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    amount_withdrawn INTEGER NOT NULL DEFAULT 0 CHECK (amount_withdrawn BETWEEN 0 AND amount),
    currency TEXT NOT NULL,
    reason TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('warning_needs_response', 'warning_under_review', 'warning_closed',
        'needs_response', 'under_review', 'won', 'lost')),
    evidence TEXT NOT NULL DEFAULT '{}',
    submission_count INTEGER NOT NULL DEFAULT 0,
    due_by INTEGER NOT NULL,
    past_due INTEGER NOT NULL DEFAULT 0,
    balance_transactions TEXT NOT NULL DEFAULT '[]',
    metadata TEXT NOT NULL DEFAULT '{}',
    created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS disputes_intent ON disputes (intent_id);
CREATE INDEX IF NOT EXISTS disputes_order ON disputes (order_ref);
CREATE INDEX IF NOT EXISTS disputes_created ON disputes (created, seq);
-- Every change of a status, for whoever wants to hold it against the published machine.
CREATE TABLE IF NOT EXISTS transitions (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, machine TEXT NOT NULL, object_id TEXT NOT NULL,
    before TEXT, after TEXT NOT NULL, cause TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS transitions_object ON transitions (object_id, seq);
-- What will happen by itself, by the clock of the books.
CREATE TABLE IF NOT EXISTS due (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, kind TEXT NOT NULL, object_id TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS due_at ON due (at, seq);
CREATE INDEX IF NOT EXISTS due_object ON due (object_id);
CREATE TABLE IF NOT EXISTS events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, type TEXT NOT NULL, intent_id TEXT NOT NULL,
    object TEXT NOT NULL, request_id TEXT, idempotency_key TEXT, created INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS events_type ON events (type, seq);
CREATE INDEX IF NOT EXISTS events_created ON events (created, seq);
CREATE TABLE IF NOT EXISTS webhook_endpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, url TEXT NOT NULL, secret TEXT NOT NULL,
    enabled_events TEXT NOT NULL, status TEXT NOT NULL CHECK (status IN ('enabled', 'disabled')),
    description TEXT, metadata TEXT NOT NULL DEFAULT '{}', by_command_line INTEGER NOT NULL DEFAULT 0,
    failures INTEGER NOT NULL DEFAULT 0, rests_until REAL NOT NULL DEFAULT 0, created INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL REFERENCES events (id), intent_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
    state TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed', 'lost')),
    due_at REAL NOT NULL, first_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, last_error TEXT
);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (due_at, seq) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS deliveries_event ON deliveries (event_id);
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS idempotency (
    key TEXT PRIMARY KEY, path TEXT NOT NULL, fingerprint TEXT NOT NULL, status INTEGER NOT NULL,
    body TEXT NOT NULL, request_id TEXT NOT NULL, created INTEGER NOT NULL   -- by the clock of the books
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
    refunded_minor INTEGER NOT NULL DEFAULT 0,   -- below zero when a refund failed and its money came back
    disputed_minor INTEGER NOT NULL DEFAULT 0,   -- below zero when withdrawn money was reinstated
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
    "DELETE FROM settings",
    "DELETE FROM deliveries",
    "DELETE FROM events",
    # The endpoint of the command line is the operator's, not part of the books.
    "DELETE FROM webhook_endpoints WHERE NOT by_command_line",
    "UPDATE webhook_endpoints SET failures = 0, rests_until = 0",
    "DELETE FROM due",
    "DELETE FROM transitions",
    "DELETE FROM disputes",
    "DELETE FROM refunds",
    "DELETE FROM charges",
    "DELETE FROM search_documents",
    "DELETE FROM intent_metadata",
    "DELETE FROM intents",
)

# Version 1 knew cards that answer at once, and neither charges, disputes nor events. Its payments and refunds are
# carried over as they stand; there is no event of what happened before.
SET_ASIDE = """
ALTER TABLE intents RENAME TO old_intents;
ALTER TABLE intent_metadata RENAME TO old_intent_metadata;
ALTER TABLE refunds RENAME TO old_refunds;
DROP INDEX intents_order;
DROP INDEX refunds_intent;
DROP INDEX refunds_order;
ALTER TABLE operations ADD COLUMN disputed_minor INTEGER NOT NULL DEFAULT 0;
"""
CARRY_OVER = """
INSERT INTO intents (seq, id, client_secret, action_secret, order_ref, amount, amount_capturable, amount_received,
    amount_refunded, currency, capture_method, payment_method, payment_method_types, status, latest_charge,
    last_payment_error, description, metadata, cancellation_reason, canceled_at, created)
SELECT seq, id, id || '_secret', lower(hex(randomblob(12))), order_ref, amount, amount_capturable, amount_received,
    amount_refunded, currency, capture_method, payment_method, '["card"]', status, latest_charge,
    last_payment_error, description, metadata, cancellation_reason, canceled_at, created FROM old_intents;
INSERT INTO intent_metadata SELECT * FROM old_intent_metadata;
INSERT INTO charges (id, intent_id, order_ref, amount, amount_captured, amount_refunded, currency, status,
    payment_method, metadata, created)
SELECT latest_charge, id, order_ref, amount, amount_received, amount_refunded, currency,
    CASE WHEN last_payment_error IS NULL THEN 'succeeded' ELSE 'failed' END, COALESCE(payment_method, 'pm_card_visa'),
    metadata, created FROM old_intents WHERE latest_charge IS NOT NULL;
INSERT INTO refunds (seq, id, intent_id, charge, order_ref, amount, currency, status, reason, metadata, created)
SELECT seq, id, intent_id, charge, order_ref, amount, currency, 'succeeded', reason, metadata, created
FROM old_refunds;
DROP TABLE old_refunds;
DROP TABLE old_intent_metadata;
DROP TABLE old_intents;
"""


def prepare(connection: sqlite3.Connection) -> None:
    """Make the tables, or bring those of version 1 up to this one, all of it or nothing.

    Raises RuntimeError for a file of any other version.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, 1, SCHEMA_VERSION):
        raise RuntimeError(f"it has store version {version}, this simulator reads 1 and writes {SCHEMA_VERSION}")
    before, after = (SET_ASIDE, CARRY_OVER) if version == 1 else ("", "")
    # Renaming would otherwise rewrite the references of other tables to the old names, and dropping would check them.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.executescript(
            f"BEGIN IMMEDIATE; {before} {SCHEMA} {after} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
        )
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("PRAGMA foreign_keys = ON")
