"""The rules that several tables share, so that PostgreSQL refuses what a service forgot.

A service bug, a shell session or a hand-written UPDATE all pass the Python checks; these constraints and triggers are
the last line.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any

import pgtrigger
from django.db import models
from django.db.models import Q

from orders import clock


def choices(words: type[StrEnum]) -> list[tuple[str, str]]:
    """Django choices of an enum: ("on_hold", "On hold")."""
    return [(word.value, word.value.split(".")[-1].replace("_", " ").capitalize()) for word in words]


def word_field(words: type[StrEnum], **options: object) -> models.CharField:
    """A text column that holds one word of `words`; pair it with `one_of` for the CHECK."""
    return models.CharField(max_length=40, choices=choices(words), **options)  # type: ignore[arg-type]


class ChangedAt(models.DateTimeField):
    """When the row was last saved, by the clock of the database: Django's `auto_now` takes that of the process."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"editable": False, "blank": True, **options})

    def pre_save(self, model_instance: models.Model, add: bool) -> datetime:
        now = clock.now()
        setattr(model_instance, self.attname, now)
        return now


def one_of(table: str, column: str, words: type[StrEnum]) -> models.CheckConstraint:
    """CHECK that `column` holds a word of the enum."""
    return models.CheckConstraint(
        condition=Q(**{f"{column}__in": [word.value for word in words]}), name=f"{table}_{column}_word"
    )


def one_of_or_empty(table: str, column: str, words: type[StrEnum]) -> models.CheckConstraint:
    """CHECK that `column` holds a word of the enum, or nothing."""
    return models.CheckConstraint(
        condition=Q(**{f"{column}__in": ["", *(word.value for word in words)]}), name=f"{table}_{column}_word"
    )


def check(name: str, condition: Q) -> models.CheckConstraint:
    return models.CheckConstraint(condition=condition, name=name)


def _no_truncate() -> pgtrigger.Trigger:
    return pgtrigger.Trigger(
        name="no_truncate",
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="RAISE EXCEPTION 'Table % may not be truncated.', TG_TABLE_NAME;",
    )


def append_only() -> list[pgtrigger.Trigger]:
    """Triggers that refuse UPDATE, DELETE and TRUNCATE.

    TRUNCATE needs a statement trigger of its own: row triggers do not see it.
    """
    return [
        pgtrigger.Protect(name="append_only", operation=pgtrigger.Update | pgtrigger.Delete),
        _no_truncate(),
    ]


def never_deleted() -> list[pgtrigger.Trigger]:
    """Triggers for rows that change but may never vanish."""
    return [
        pgtrigger.Protect(name="never_deleted", operation=pgtrigger.Delete),
        _no_truncate(),
    ]


def unchanged(*but: str) -> pgtrigger.Trigger:
    """A trigger that refuses changes of every column except those named."""
    return pgtrigger.ReadOnly(name="written_once", exclude=list(but))
