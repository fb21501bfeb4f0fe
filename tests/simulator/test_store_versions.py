"""A store file of an older simulator: its books go on, and a file of an unknown version is left alone."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from simulator.schema import SCHEMA_VERSION
from tests.simulator.process import ROOT, SimulatorProcess
from tests.simulator.talk import Http, stripe_client

Launch = Callable[..., SimulatorProcess]

# What version 1 made, as far as it matters here; the checks of its columns are left out.
VERSION_1 = """
CREATE TABLE intents (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, order_ref TEXT NOT NULL, amount INTEGER NOT NULL,
    amount_capturable INTEGER NOT NULL DEFAULT 0, amount_received INTEGER NOT NULL DEFAULT 0,
    amount_refunded INTEGER NOT NULL DEFAULT 0, currency TEXT NOT NULL, capture_method TEXT NOT NULL,
    payment_method TEXT, status TEXT NOT NULL, latest_charge TEXT, last_payment_error TEXT, description TEXT,
    metadata TEXT NOT NULL, cancellation_reason TEXT, canceled_at INTEGER, created INTEGER NOT NULL
);
CREATE INDEX intents_order ON intents (order_ref);
CREATE TABLE intent_metadata (
    key TEXT NOT NULL, value TEXT NOT NULL, intent_seq INTEGER NOT NULL REFERENCES intents (seq),
    PRIMARY KEY (key, value, intent_seq)
) WITHOUT ROWID;
CREATE TABLE refunds (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, intent_id TEXT NOT NULL REFERENCES intents (id),
    order_ref TEXT NOT NULL, amount INTEGER NOT NULL, currency TEXT NOT NULL, charge TEXT NOT NULL, reason TEXT,
    metadata TEXT NOT NULL, created INTEGER NOT NULL
);
CREATE INDEX refunds_intent ON refunds (intent_id);
CREATE INDEX refunds_order ON refunds (order_ref);
CREATE TABLE operations (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, at REAL NOT NULL, partner TEXT NOT NULL, operation TEXT NOT NULL,
    order_ref TEXT NOT NULL, object_id TEXT NOT NULL, charged_minor INTEGER NOT NULL DEFAULT 0,
    refunded_minor INTEGER NOT NULL DEFAULT 0, currency TEXT, idempotency_key TEXT
);
INSERT INTO intents VALUES
    (1, 'pi_paid', 'o-1', 2500, 0, 2500, 400, 'gbp', 'automatic', 'pm_card_visa', 'succeeded', 'ch_paid', NULL, NULL,
     '{"order": "o-1"}', NULL, NULL, 1700000000),
    (2, 'pi_held', 'o-2', 900, 900, 0, 0, 'gbp', 'manual', 'pm_card_visa', 'requires_capture', 'ch_held', NULL, NULL,
     '{"order": "o-2"}', NULL, NULL, 1700000001),
    (3, 'pi_declined', 'o-3', 900, 0, 0, 0, 'eur', 'automatic', NULL, 'requires_payment_method', 'ch_declined',
     '{"code": "card_declined"}', NULL, '{"order": "o-3"}', NULL, NULL, 1700000002);
INSERT INTO intent_metadata VALUES ('order', 'o-1', 1), ('order', 'o-2', 2), ('order', 'o-3', 3);
INSERT INTO refunds VALUES
    (1, 're_1', 'pi_paid', 'o-1', 400, 'gbp', 'ch_paid', NULL, '{"refund": "r-1"}', 1700000003);
INSERT INTO operations VALUES
    (1, 1.0, 'payments', 'payment_intents.charge', 'o-1', 'pi_paid', 2500, 0, 'gbp', NULL),
    (2, 2.0, 'payments', 'refunds.create', 'o-1', 're_1', 0, 400, 'gbp', NULL);
PRAGMA user_version = 1;
"""


def test_books_of_version_1_go_on(launch: Launch, own_store: Path) -> None:
    with sqlite3.connect(own_store) as connection:
        connection.executescript(VERSION_1)
    connection.close()
    running = launch(own_store)
    client = stripe_client(running.url)
    with Http(running.url) as http:
        assert http.request("GET", "/oracle/summary")[1]["problems"] == []
        assert (http.books("o-1")["net_minor"], http.books("o-2")["open_authorized_minor"]) == (2100, 900)
        http.advance(2)
        found = client.v1.payment_intents.search({"query": "metadata['order']:'o-1'"}).data
        assert [one.id for one in found] == ["pi_paid"]
        (refund,) = client.v1.refunds.list({"payment_intent": "pi_paid"}).data
        assert (refund.status, refund.metadata["refund"] if refund.metadata else "") == ("succeeded", "r-1")
        assert client.v1.charges.retrieve("ch_declined").status == "failed"
        assert client.v1.payment_intents.capture("pi_held").amount_received == 900
        assert client.v1.refunds.create({"payment_intent": "pi_paid"}).amount == 2100
        paid = client.v1.payment_intents.confirm("pi_declined", {"payment_method": "pm_card_visa"})
        assert paid.status == "succeeded"
        assert http.request("GET", "/oracle/summary")[1]["problems"] == []
        assert [one.id for one in client.v1.payment_intents.list().data] == ["pi_declined", "pi_held", "pi_paid"]
    running.stop()
    with sqlite3.connect(own_store) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    launch(own_store).stop()


@pytest.mark.parametrize("version", [3, 99])
def test_a_file_of_an_unknown_version_is_left_alone_with_a_sentence(own_store: Path, version: int) -> None:
    with sqlite3.connect(own_store) as connection:
        connection.executescript(f"CREATE TABLE theirs (x); PRAGMA user_version = {version};")
    connection.close()
    done = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", "0", "--store", str(own_store)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert f"store version {version}" in done.stderr
    with sqlite3.connect(own_store) as connection:
        assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
    connection.close()
