"""Small feeds for tests, and an import without a worker: the three phases, one after the other."""

from pathlib import Path
from typing import Any

from backoffice.database_roles import Role
from orders.actor import Actor, system
from orders.models import FeedImport
from orders.services import feeds
from orders.vocabulary import Channel
from tests import rights

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
CLI: Actor = system("test", Channel.CLI)
IMPORTER: Actor = system("feed import", Channel.FEED)
#: beside the checkout; absent on a machine that has only the repository
SAMPLES = Path(__file__).resolve().parents[3] / "shared" / "data" / "online-retail"


def row(
    invoice: str,
    *,
    sku: str = "84406B",
    description: str = "COAT HANGER",
    quantity: object = 1,
    at: str = "2010-12-01 08:26:00",
    price: str = "2.50",
    customer: str = "17850.0",
    country: str = "United Kingdom",
) -> str:
    return f"{invoice},{sku},{description},{quantity},{at},{price},{customer},{country}"


def csv_of(*rows: str) -> bytes:
    return "\n".join([HEADER, *rows, ""]).encode()


def receive(content: bytes, **options: Any) -> FeedImport:
    settings = {"create_products": True, "initial_stock": 1000, "process": False}
    limits = {"max_bytes": 10_000_000, "max_rows": 100_000}
    return feeds.receive(content, **{"name": "day.csv", "actor": CLI, **settings, **limits, **options})


def run(feed: FeedImport) -> FeedImport:
    """What the workflow does, in this thread and with the rights of a worker."""
    with rights.of(Role.WORKER):
        feeds.validate(feed.id, beat=quiet)
        feeds.transform(feed.id, beat=quiet)
        feeds.store(feed.id, actor=IMPORTER, beat=quiet)
    feed.refresh_from_db()
    return feed


def imported(*rows: str, **options: Any) -> FeedImport:
    """A file of these rows, imported."""
    return run(receive(csv_of(*rows), **options))


def quiet(cursor: int) -> None:
    """A caller that never stops a phase."""
