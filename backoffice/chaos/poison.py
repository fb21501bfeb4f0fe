"""Poison in a run: the database is taught to refuse, each poisoned order is watched, and in the end all is mended.

Nobody mends it while the run lasts, and every healthy order must pass all the same. Then the triggers are dropped, and
staff cancel what the partners will not take.
"""

from collections.abc import Iterator
from typing import Any

import psycopg

from backoffice.chaos.arena import Arena
from backoffice.chaos.poisons import POISONS, sku
from backoffice.chaos.runs import of_row
from backoffice.chaos.watch import ONE, Item, Watch
from orders.vocabulary import RunKind

PRODUCT = """
    WITH made AS (
        INSERT INTO orders_product (sku, name, unit_price, currency, created_at)
        VALUES (%s, 'A piece of poison', %s, 'GBP', now()) RETURNING id
    )
    INSERT INTO orders_stockitem (product_id, received, on_hand, reserved, shipped)
    SELECT id, 100000, 100000, 0, 0 FROM made
"""
REFUSE = """
    CREATE FUNCTION chaos_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (
            SELECT 1 FROM orders_orderline l JOIN orders_product p ON p.id = l.product_id
            WHERE l.order_id = NEW.order_id AND p.sku = TG_ARGV[0]
        ) THEN
            RAISE EXCEPTION 'refused for good';
        END IF;
        RETURN NEW;
    END $$
"""
TRIGGER = """
    CREATE TRIGGER chaos_{name} BEFORE INSERT OR UPDATE ON {table}
    FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION chaos_refuse('{sku}')
"""
REACHED = {
    True: """SELECT EXISTS (SELECT 1 FROM orders_step s JOIN orders_order o ON o.id = s.order_id
        WHERE o.number = %(number)s AND s.name = %(step)s)""",
    False: """SELECT EXISTS (SELECT 1 FROM orders_refund r JOIN orders_order o ON o.id = r.order_id
        WHERE o.number = %(number)s)""",
}


def triggers() -> Iterator[tuple[str, str, str]]:
    """(name, table, statement) of everything that the database refuses."""
    for name, poison in POISONS.items():
        if poison.by_database:
            statement = TRIGGER.format(name=name, table=poison.table, when=poison.when, sku=sku(name))
            yield f"chaos_{name}", poison.table, statement


def install(arena: Arena) -> None:
    """Make the products and have the database refuse; before anybody orders."""
    with psycopg.connect(arena.wiring.database_url) as connection:
        for name, poison in POISONS.items():
            connection.execute(PRODUCT, [sku(name), poison.price])
        connection.execute(REFUSE)
        for _, _, statement in triggers():
            connection.execute(statement.encode())


def mend(arena: Arena) -> None:
    """The database refuses nothing any more. Raises `psycopg.Error`."""
    with psycopg.connect(arena.wiring.database_url) as connection:
        for name, table, _ in triggers():
            connection.execute(f"DROP TRIGGER IF EXISTS {name} ON {table}".encode())


STILL_THERE = "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgname = %(trigger)s)"


def watched(watch: Watch, number: str, name: str) -> None:
    """Have the watch see whether somebody hears of the order, from its first try of what is refused."""
    poison = POISONS[name]

    def row(sql: str, **values: Any) -> tuple[Any, ...] | None:
        with psycopg.connect(watch.arena.wiring.database_url, connect_timeout=2) as connection:
            return connection.execute(sql, {"number": number, **values}).fetchone()

    def is_mended() -> bool:
        return poison.by_database and row(STILL_THERE, trigger=f"chaos_{name}") == (False,)

    def begun() -> bool:
        # What comes to it after the mending meets no trouble any more.
        return not is_mended() and row(REACHED[poison.step is not None], step=str(poison.step or "")) == (True,)

    def attended() -> str:
        found = row(
            "SELECT o.id::text, (SELECT r.id::text FROM orders_refund r WHERE r.order_id = o.id LIMIT 1)"
            " FROM orders_order o WHERE o.number = %(number)s"
        )
        order, refund = found or (None, None)
        runs = [of_row(kind, key) for kind, key in ((RunKind.ORDER, order), (RunKind.REFUND, refund)) if key]
        told = [words for run in runs for words in watch.told(run)]
        if not told and is_mended():
            return "mended"
        return sorted(told)[0].split(" ")[0] if told else ""

    watch.add(Item(what=f"poison at {name}", name=number, patience=ONE, begun=begun, attended=attended))
