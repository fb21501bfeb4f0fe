"""Taking a person's words out of every text that is declared as `MASKED`, in the erasure's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pgtrigger
from django.db import IntegrityError, connection, transaction
from django.db.models import Model, Q, TextField
from django.db.models.functions import Cast

from orders.models import Approval, IdempotencyRecord, PlaybookRun, PlaybookVersion
from orders.services import approvals
from orders.services.playbooks.publishing import hash_of
from orders.services.texts.person import Person
from orders.services.texts.registry import MASKED, STAYS, TYPED, columns

#: rows that are written once so that nobody edits them; the law outranks it
WRITTEN_ONCE = (
    "orders.Approval:asked_once",
    "orders.PlaybookRun:written_once",
    "orders.PlaybookVersion:written_once",
    "orders.RefusedAction:only_counted_up",
)
#: every row of every table is read
PATIENCE = "SET LOCAL statement_timeout = '15min'"


def mask(person: Person) -> dict[str, int]:
    """How many rows of each table named the person; they do not any more."""
    with connection.cursor() as cursor:
        cursor.execute(PATIENCE)
    with pgtrigger.ignore(*WRITTEN_ONCE):
        return {model._meta.label: _mask(model, names, person) for model, names in columns(MASKED).items()}


def names(person: Person) -> bool:
    """Whether any text names the person; the addresses of requests do not count, which name whoever is asked about."""
    texts = columns(MASKED)
    return any(_naming(model, texts[model], person) for model in texts if model is not IdempotencyRecord)


def left(person: Person) -> dict[str, int]:
    """How many rows that nobody can change name the person in clear."""
    stays, typed = columns(STAYS), columns(TYPED)
    return {
        model._meta.label: len(_naming(model, (*stays.get(model, ()), *typed.get(model, ())), person))
        for model in dict.fromkeys((*stays, *typed))
    }


@dataclass(frozen=True, kw_only=True)
class Naming:
    """A row that names the person."""

    pk: Any
    before: dict[str, Any]
    #: the columns that change, as they are without the person
    after: dict[str, Any]


def _mask(model: type[Model], names: Sequence[str], person: Person) -> int:
    found = _naming(model, names, person)
    for row in found:
        rows = model._base_manager.filter(pk=row.pk)
        try:
            with transaction.atomic():
                rows.update(**{name: _cut(model, name, value) for name, value in row.after.items()})
        except IntegrityError:
            # The name was all that told it from another row.
            rows.update(**{name: _cut(model, name, value, mark=f" {row.pk}") for name, value in row.after.items()})
        if model is Approval and "parameters" in row.after:
            _digest_approval(row)
        if model is PlaybookVersion and "document" in row.after:
            _digest_version(row)
    return len(found)


def _naming(model: type[Model], names: Sequence[str], person: Person) -> list[Naming]:
    if not person.sought:
        return []
    naming = Q()
    for name, word in product(names, person.patterns):
        naming |= Q(**{f"{name}_as_text__icontains": word})
    as_text = {f"{name}_as_text": Cast(name, TextField()) for name in names}
    found = []
    for pk, *values in model._base_manager.alias(**as_text).filter(naming).order_by().values_list("pk", *names):
        before = dict(zip(names, values, strict=True))
        after = {name: person.clean_value(value) for name, value in before.items()}
        changed = {name: value for name, value in after.items() if value != before[name]}
        if changed:
            found.append(Naming(pk=pk, before=before, after=changed))
    return found


def _cut(model: type[Model], name: str, value: Any, mark: str = "") -> Any:
    """The word that stands for a name may be longer than the name."""
    if not isinstance(value, str):
        return value
    most = getattr(model._meta.get_field(name), "max_length", None)
    return (value[: most - len(mark)] if most else value) + mark


def _digest_approval(row: Naming) -> None:
    """Two people agree on what a digest names; one that did not fit before is left as it is."""
    approval = Approval.objects.get(pk=row.pk)
    if approvals.hash_of(approval.command, approval.subject, row.before["parameters"]) == approval.parameters_hash:
        digest = approvals.hash_of(approval.command, approval.subject, approval.parameters)
        Approval.objects.filter(pk=row.pk).update(parameters_hash=digest)


def _digest_version(row: Naming) -> None:
    """The same for what a run follows."""
    version = PlaybookVersion.objects.get(pk=row.pk)
    if hash_of(row.before["document"]) == version.hash:
        digest = hash_of(version.document)
        PlaybookRun.objects.filter(version=version, version_hash=version.hash).update(version_hash=digest)
        PlaybookVersion.objects.filter(pk=row.pk).update(hash=digest)
