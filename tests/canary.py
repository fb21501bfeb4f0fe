"""Looking for words in all that is stored: every column of every table, and every file that can still be opened."""

from __future__ import annotations

from collections.abc import Iterator

from django.db import connection

from orders.models import ExportPart, FeedImport, IdempotencyRecord
from orders.models.typed_words import STORED, opened
from orders.services import saved_answers
from orders.services.exports import making
from orders.services.feeds import keeping

READABLE = ("character varying", "text", "jsonb", "json", "bytea", "character", "xml", "ARRAY", "uuid", "name")


def found_in_database(*canaries: str) -> set[tuple[str, str, str]]:
    """(table, column, canary) of every place where a canary stands, in every table of the database."""
    found = set()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " JOIN information_schema.tables USING (table_schema, table_name)"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = ANY(%s)",
            [list(READABLE)],
        )
        columns = cursor.fetchall()
        assert len(columns) > 100
        for table, column, kind in columns:
            text = f"encode(\"{column}\", 'escape')" if kind == "bytea" else f'"{column}"::text'
            for canary in canaries:
                cursor.execute(f'SELECT 1 FROM "{table}" WHERE strpos({text}, %s) > 0 LIMIT 1', [canary])
                if cursor.fetchone():
                    found.add((table, column, canary))
    return found


def in_files(*canaries: str) -> bool:
    """Whether something that is encrypted, and can still be opened, holds one of them."""
    return any(canary.encode() in content for content in opened_files() for canary in canaries)


def opened_files() -> Iterator[bytes]:
    """Everything that is encrypted and has its key, in clear: files, saved answers, typed words."""
    for feed in FeedImport.objects.filter(file_gone_at=None):
        yield keeping.read(feed)
    for part in ExportPart.objects.exclude(content=None).select_related("export__key"):
        yield making.content_of(part.export, part)
    for record in IdempotencyRecord.objects.exclude(status_code=None):
        yield "".join(saved_answers.unseal(record)).encode()
    for text in _texts():
        for found in STORED.finditer(text):
            yield opened(found.group()).encode()


def _texts() -> Iterator[str]:
    with connection.cursor() as cursor:
        for table, column in (
            ("orders_orderevent", "reason"),
            ("orders_automationchange", "before"),
            ("orders_automationchange", "after"),
            ("orders_fraudrules", "reason"),
            ("orders_feedlayout", "reason"),
        ):
            cursor.execute(f"SELECT {column}::text FROM {table}")
            yield from (row[0] for row in cursor.fetchall())
