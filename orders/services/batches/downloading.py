"""The items of a batch as CSV, read from the database in pieces: a batch of any size is one download."""

from __future__ import annotations

from collections.abc import Iterator

from orders.models import Batch
from orders.services.feeds.rejects import csv_line
from orders.vocabulary import ItemStatus

HEADER = [
    "position",
    "order",
    "placed_as",
    "status",
    "outcome",
    "error_type",
    "error_message",
    "former_status",
    "tries",
    "finished_at",
]


def items_csv(batch: Batch, *, status: ItemStatus | None = None) -> Iterator[str]:
    """All items, or those of one status. No cell is a formula."""
    yield csv_line(HEADER)
    items = batch.items.filter(status=status) if status else batch.items.all()
    rows = items.order_by("position").values_list(
        "position",
        "order__number",
        "placed_as__number",
        "status",
        "outcome",
        "error_type",
        "error_message",
        "former_status",
        "tries",
        "finished_at",
    )
    for *cells, finished in rows.iterator(chunk_size=2_000):
        texts = ("" if cell is None else str(cell) for cell in cells)
        yield csv_line([*texts, finished.isoformat() if finished else ""])
