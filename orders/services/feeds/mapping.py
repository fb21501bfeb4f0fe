"""Making a layout: a new version of a name, checked as a whole before it is written.

A mapping that names a column twice or lacks a field would be found out by the first file, in front of whoever sends it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import FeedImport, FeedLayout, Order
from orders.services.feeds.layouts import BUILT_IN, FIELDS
from orders.services.feeds.reading import ADDED_COLUMNS

MAX_COLUMN_NAME = 100


def make_layout(name: str, *, columns: Mapping[str, str], actor: Actor, reason: str, **rules: Any) -> FeedLayout:
    """Write the next version of a layout. Raises `NotPermitted`, or `InvalidInput` naming the field.

    `columns` maps our field to the column's name in the header; `rules` are the other fields of `FeedLayout`.
    """
    actor.require("orders.add_feedlayout")
    used = check_layout(name, columns, rules)
    return FeedLayout.objects.create(name=name, columns=used, made_by=actor.name, reason=reason[:500], **rules)


def check_layout(name: str, columns: Mapping[str, str], rules: Mapping[str, Any]) -> dict[str, str]:
    """The columns that are used. Raises `InvalidInput` naming the field."""
    if name in BUILT_IN:
        raise InvalidInput("name", f"The layout {name} is part of the product and cannot be mapped anew.")
    is_new = not FeedLayout.objects.filter(name=name).exists()
    if is_new and Order.objects.filter(source=name).exists():
        # Its invoice numbers would be taken for those of somebody else's orders.
        raise InvalidInput("name", f"There are orders from {name} that came through another door.")
    used = {field: column.strip() for field, column in columns.items() if column.strip()}
    _check(used, rules)
    return used


def _check(columns: Mapping[str, str], rules: Mapping[str, Any]) -> None:
    if unknown := columns.keys() - FIELDS.keys():
        raise InvalidInput("columns", f"There is no field {', '.join(sorted(unknown))}.")
    for field, is_needed in FIELDS.items():
        if is_needed and field not in columns:
            raise InvalidInput(field, "A layout needs a column for this.")
    seen: dict[str, str] = {}
    for field, column in columns.items():
        if len(column) > MAX_COLUMN_NAME or not column.isprintable():
            raise InvalidInput(field, f"A column's name is printable and has at most {MAX_COLUMN_NAME} characters.")
        if column.casefold() in ADDED_COLUMNS:
            raise InvalidInput(field, f"The name {column} is ours in the download of rejected rows.")
        if column.casefold() in seen:
            raise InvalidInput(field, f"The column {column} is mapped to {seen[column.casefold()]} already.")
        seen[column.casefold()] = field
    if "country" not in columns and not rules.get("default_country"):
        raise InvalidInput("default_country", "Without a column for the country every order needs one from here.")


def imports_of(layout: FeedLayout) -> int:
    """How many files were read with this version."""
    return FeedImport.objects.filter(layout_version=layout).count()
