"""Destroying the keys of what was typed about a person into rows that nobody can change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from uuid import UUID

from django.db.models import Model, TextField
from django.db.models.functions import Cast

from orders.models.typed_words import STORED, WordKey, key_of, opened_with
from orders.paging import pages
from orders.services.texts.person import Person
from orders.services.texts.registry import TYPED, columns

AT_ONCE = 500


def names(person: Person) -> bool:
    """Whether any of them names the person."""
    return any(_naming(_stored(model, name), person) for model, columns_ in columns(TYPED).items() for name in columns_)


def destroy(person: Person) -> dict[str, int]:
    """How many texts of each table named the person; nobody can read them any more."""
    found = {}
    for model, columns_ in columns(TYPED).items():
        naming = {key for name in columns_ for key in _naming(_stored(model, name), person)}
        WordKey.objects.filter(pk__in=naming).delete()
        found[model._meta.label] = len(naming)
    return found


def _stored(model: type[Model], name: str) -> Iterator[str]:
    """Each encrypted text as it is stored; of a document all of its texts."""
    as_stored = model._base_manager.annotate(stored=Cast(name, TextField())).filter(stored__contains="sealed:")
    rows = pages(as_stored.values_list("pk", "stored"), AT_ONCE)
    return (found.group() for _, text in rows for found in STORED.finditer(text))


def _naming(texts: Iterable[str], person: Person) -> set[UUID]:
    """The keys of those in which the person is named."""
    naming: set[UUID] = set()
    source = iter(texts if person.sought else ())
    # A batch has one text for all of its orders.
    while some := dict.fromkeys(islice(source, AT_ONCE)):
        keys = WordKey.objects.in_bulk([key for key in map(key_of, some) if key is not None])
        for stored in some:
            key = keys.get(key_of(stored))  # type: ignore[arg-type]
            if key is None:
                continue
            text = opened_with(key, stored)
            if person.clean(text) != text:
                naming.add(key.pk)
    return naming
