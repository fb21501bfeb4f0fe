"""What an erasure says at its end: where it looked, and what it found there. Never a word of the person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.apps import apps

from orders.amounts import counted, number


@dataclass(frozen=True, kw_only=True)
class Place:
    #: "files of imports", or the label of a model
    where: str
    #: rows or files that named the person
    found: int
    #: files that were read; a table is searched as a whole
    looked_at: int | None = None
    #: nobody can change it, so it is as it was
    stays: bool = False
    #: whether finding something tells that something has come in since
    is_news: bool = True

    @property
    def name(self) -> str:
        """For people."""
        return str(apps.get_model(self.where)._meta.verbose_name_plural) if "." in self.where else self.where

    def as_row(self) -> dict[str, Any]:
        """As the command keeps it."""
        looked_at = {} if self.looked_at is None else {"looked_at": self.looked_at}
        return {"where": self.where, "found": self.found, "stays": self.stays, **looked_at}


def told(places: Sequence[Place]) -> str:
    """The report in sentences."""
    searched = f"Looked in {counted(sum('.' in place.where for place in places), 'table')}"
    files = sum(place.looked_at or 0 for place in places)
    found = [f"{place.name} ({number(place.found)})" for place in places if place.found and not place.stays]
    left = [f"{place.name} ({number(place.found)})" for place in places if place.found and place.stays]
    said = f"{searched} and {counted(files, 'file')}. "
    said += f"Found and erased in: {', '.join(found)}." if found else "Found nothing."
    return said + (f" Cannot be changed and still name the person: {', '.join(left)}." if left else "")
