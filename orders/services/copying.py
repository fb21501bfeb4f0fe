"""Writing thousands of rows at once with PostgreSQL's COPY.

As INSERTs, the half million rows of a year's file are text that Django builds, psycopg quotes and PostgreSQL parses:
measured, the statement costs five times the row. Triggers and constraints see these rows as they see all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection, models


def copy_rows(model: type[models.Model], fields: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Insert rows whose values stand in the order of `fields`; JSON is given as text.

    Fields that are left out must have a default in the database. Runs in the caller's transaction.
    """
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(model._meta.get_field(name).column)) for name in fields)  # type: ignore[union-attr]
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
