"""Taking a person out of the files and rows that feeds left behind.

A stored file is read again for the download of its bad rows, so its lines must stay where they are: words are replaced,
nothing is cut. A reference of digits alone is replaced in the person's own rows only, because the same digits may be
another row's quantity; everything else wherever it stands, also in rows that were refused and in those of others.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from django.db import connection
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from orders.errors import WrongState
from orders.models import FeedImport, FeedRow
from orders.services.feeds import keeping
from orders.services.feeds.phases import ENDED
from orders.services.texts.person import Person

# A row whose cells could not be told apart has no reference, only its raw cells.
THEIRS = """(customer_reference = %(reference)s
    OR EXISTS (SELECT FROM jsonb_array_elements_text(raw) AS cell WHERE strpos(cell, %(reference)s) > 0))"""
# A record may run over several lines of the file; it ends where the next one begins.
ROWS = f"""
    SELECT id, line, next FROM (
        SELECT id, line, customer_reference, raw, lead(line) OVER (ORDER BY line) AS next
        FROM orders_feedrow WHERE feed_id = %(feed)s
    ) AS rows
    WHERE {THEIRS}
"""
TEXTS = ("customer_reference", "description", "country", "error", "problems", "raw")


@dataclass(frozen=True, kw_only=True)
class Forgotten:
    #: files that were read
    looked_at: int
    #: files and rows that named the person
    files: int
    rows: int


def knows(reference: str, person: Person) -> bool:
    """Whether a row of a feed, or a file, names the person, taken or refused."""
    return _named_rows(person.lettered).exists() or any(
        _theirs(feed, reference) or person.lettered.is_in(keeping.read(feed)) for feed in _files()
    )


def forget(reference: str, *, person: Person, instead: str) -> Forgotten:
    """Replace `reference` by `instead`, and the person's other words.

    Raises `WrongState` while an import that names the person is under way.
    """
    looked_at, files, rows, under_way = 0, set(), set(), []
    for feed in _files():
        looked_at += 1
        theirs, content = _theirs(feed, reference), keeping.read(feed)
        clean = person.lettered.clean_bytes(_replaced(content, theirs, reference, instead))
        if clean != content or theirs:
            files.add(feed.pk)
            if feed.status not in ENDED:
                under_way.append(feed.name)
            elif clean != content:
                keeping.write(feed, clean)
        rows |= _forget_rows([row_id for row_id, _, _ in theirs], reference, instead)
    if under_way:
        raise WrongState(f"An import with rows of this customer is still under way: {', '.join(under_way[:5])}.")
    for row in _named_rows(person.lettered):
        if _clean(row, person.lettered):
            files.add(row.feed_id)
            rows.add(row.pk)
    return Forgotten(looked_at=looked_at, files=len(files), rows=len(rows))


def _files() -> Iterator[FeedImport]:
    """Those that are still there, one after the other."""
    for feed_id in list(FeedImport.objects.filter(file_gone_at=None).order_by("pk").values_list("pk", flat=True)):
        yield FeedImport.objects.select_related("key").get(pk=feed_id)


def _theirs(feed: FeedImport, reference: str) -> list[tuple[int, int, int | None]]:
    """(id, line, line of the next record) of the rows that are the customer's."""
    if not reference:
        return []
    with connection.cursor() as cursor:
        cursor.execute(ROWS, {"feed": feed.pk, "reference": reference})
        return list(cursor.fetchall())


def _named_rows(person: Person) -> QuerySet[FeedRow]:
    """The rows in which a word of the person may stand."""
    naming = Q(pk__in=[])
    for name, word in product(TEXTS, person.patterns):
        naming |= Q(**{f"{name}_as_text__icontains": word})
    return FeedRow.objects.alias(**{f"{name}_as_text": Cast(name, TextField()) for name in TEXTS}).filter(naming)


def _replaced(content: bytes, rows: list[tuple[int, int, int | None]], reference: str, instead: str) -> bytes:
    """The file with another reference in these rows."""
    if not rows:
        return content
    lines, token = content.splitlines(keepends=True), _token(reference)
    for _, line, following in rows:
        for place in range(line - 1, min((following or len(lines) + 1) - 1, len(lines))):
            lines[place] = token.sub(instead.encode(), lines[place])
    return b"".join(lines)


def _forget_rows(row_ids: list[int], reference: str, instead: str) -> set[int]:
    token = _token(reference)
    for row in FeedRow.objects.filter(pk__in=row_ids):
        if row.customer_reference == reference:
            row.customer_reference = instead
        if row.raw is not None:
            row.raw = [token.sub(instead.encode(), cell.encode()).decode() for cell in row.raw]
        row.save(update_fields=["customer_reference", "raw"])
    return set(row_ids)


def _clean(row: FeedRow, person: Person) -> bool:
    """Whether anything of the row was the person's."""
    changed = []
    for name in TEXTS:
        before = getattr(row, name)
        after = person.clean_value(before)
        if after != before:
            most = getattr(FeedRow._meta.get_field(name), "max_length", None)
            setattr(row, name, after[:most] if most else after)
            changed.append(name)
    if changed:
        row.save(update_fields=changed)
    return bool(changed)


def _token(reference: str) -> re.Pattern[bytes]:
    """The reference as a whole cell or word, as either encoding and CSV's quoting write it."""
    written = {
        re.escape(text.encode(encoding, "replace"))
        for encoding in ("utf-8", "cp1252")
        for text in (reference, reference.replace('"', '""'))
    }
    edge = rb"[0-9A-Za-z_\x80-\xff]"
    return re.compile(rb"(?<!%s)(?:%s)(?:\.0+)?(?!%s)" % (edge, b"|".join(sorted(written)), edge))
