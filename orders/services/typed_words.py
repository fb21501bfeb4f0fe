"""What people typed about a customer's orders, in every table, with what names the customer taken out of it.

Erasing a customer must reach each text that a person may have typed a name into; a table that is forgotten here keeps
the name for ever. So each text column of a row that belongs to an order is named either here or, as words of our own,
in the test that reads the models (tests/orders/test_typed_words.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import Model, QuerySet
from psycopg.types.json import Jsonb

from orders.models import (
    Approval,
    Batch,
    BatchItem,
    Command,
    Finding,
    Notice,
    Order,
    OrderTag,
    PlaybookRun,
    PlaybookStepRun,
    QualityCheck,
    Recovery,
    Refund,
    ReturnCase,
    ReviewCase,
    StaffTask,
    SystemEvent,
    Voucher,
)

Clean = Callable[[str], str]


@dataclass(frozen=True, kw_only=True)
class Typed:
    """Columns that hold what a person typed; `orders` is the way from the row to its order."""

    model: type[Model]
    columns: tuple[str, ...]
    orders: str = "order"


TYPED = (
    Typed(model=Command, columns=("reason", "outcome", "details")),
    Typed(model=ReturnCase, columns=("reason", "note")),
    Typed(model=Refund, columns=("reason", "note")),
    Typed(model=ReviewCase, columns=("question", "note")),
    Typed(model=StaffTask, columns=("says", "resolution", "reference")),
    Typed(model=Finding, columns=("says", "repair", "resolution")),
    Typed(model=Recovery, columns=("why",)),
    Typed(model=QualityCheck, columns=("note",)),
    Typed(model=SystemEvent, columns=("message", "note")),
    Typed(model=Notice, columns=("subject", "text", "note")),
    Typed(model=Voucher, columns=("reason",)),
    Typed(model=OrderTag, columns=("tag",)),
    Typed(model=PlaybookRun, columns=("inputs", "reason", "message")),
    Typed(model=PlaybookStepRun, columns=("parameters", "result", "error"), orders="run__order"),
    Typed(model=BatchItem, columns=("error_message",)),
    Typed(model=Batch, columns=("reason", "note", "selection", "inputs"), orders="items__order"),
)


def forget(orders: list[Order], *, clean: Clean) -> None:
    """Take what names the customer out of all of it; `clean` does so for one text. In the erasure's transaction."""
    for typed in TYPED:
        rows = typed.model._default_manager.filter(**{f"{typed.orders}__in": orders})
        clean_rows(rows.distinct(), typed.columns, clean)
    subjects = Approval.objects.filter(subject__in=[order.number for order in orders])
    clean_rows(subjects, ("reason", "decision"), clean)


def clean_rows(rows: QuerySet[Any], columns: Iterable[str], clean: Clean) -> None:
    """Rewrite the columns of those rows whose texts change."""
    for row in rows:
        before = {column: getattr(row, column) for column in columns}
        after = {column: _cut(rows, column, _cleaned(value, clean)) for column, value in before.items()}
        if after != before:
            _write(rows.model, row.pk, after)


#: These rows are written once, so that nobody edits a run under way or what was asked for. Their order is closed, and
#: the law outranks it; an account may do it by these functions only, which look whether the customer is erased.
WRITTEN_ONCE: dict[type[Model], str] = {
    PlaybookRun: "SELECT orders_forget_playbook_run(%(pk)s, %(inputs)s, %(reason)s, %(message)s)",
    Approval: "SELECT orders_forget_approval(%(pk)s, %(reason)s, %(decision)s)",
}


def _write(model: type[Model], pk: Any, texts: dict[str, Any]) -> None:
    statement = WRITTEN_ONCE.get(model)
    if statement is None:
        model._default_manager.filter(pk=pk).update(**texts)
        return
    values: dict[str, Any] = {
        name: Jsonb(value) if isinstance(value, (dict, list)) else value for name, value in texts.items()
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, {"pk": pk, **values})


def _cut(rows: QuerySet[Any], column: str, value: Any) -> Any:
    """The word that stands for a name may be longer than the name."""
    return value[: rows.model._meta.get_field(column).max_length] if isinstance(value, str) else value


def _cleaned(value: Any, clean: Clean) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {name: _cleaned(inner, clean) for name, inner in value.items()}
    return [_cleaned(inner, clean) for inner in value] if isinstance(value, list) else value
