"""The items of a batch as CSV, read from the database in pieces: a batch of any size is one download."""

from __future__ import annotations

from collections.abc import Iterator

from orders.models import Batch
from orders.paging import pages
from orders.services import csv_text
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
    yield csv_text.line(HEADER)
    items = batch.items.filter(status=status) if status else batch.items.all()
    rows = items.values_list(
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
    for *cells, finished in pages(rows, 2_000, key="position"):
        texts = ("" if cell is None else str(cell) for cell in cells)
        yield csv_text.line([*texts, finished.isoformat() if finished else ""])
