"""Taking a person's words out of every text that is declared as `MASKED`, in the erasure's transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from django.db import ProgrammingError, connection, transaction
from django.db.models import Model, Q, TextField
from django.db.models.functions import Cast
from psycopg.errors import InsufficientPrivilege

from orders.models import Approval, IdempotencyRecord, PlaybookVersion
from orders.models.customer import ERASED
from orders.services import approvals
from orders.services.playbooks import genuine
from orders.services.seals import masked_lines
from orders.services.texts.person import Person
from orders.services.texts.registry import MASKED, STAYS, TYPED, columns

#: what stands for the words that were taken out
MARK = ERASED
#: no account may write over all of it: a function of the owner does, which lets nothing new in, and is told that by
#: `backoffice.mask_function`
WRITE = "SELECT log, before_hash, after_hash FROM public.orders_mask(%s, %s, %s, %s)"
#: digests over masked columns, which change with them and with nothing else
DIGESTS: dict[type[Model], dict[str, tuple[str, ...]]] = {
    Approval: {"asked_digest": ("parameters",), "decided_digest": ("parameters",)},
    PlaybookVersion: {"hash": ("document",), "keyed_digest": ("document", "title")},
}
#: every row of every table is read
PATIENCE = "SET LOCAL statement_timeout = '15min'"


def mask(person: Person) -> dict[str, int]:
    """How many rows of each table named the person; they do not any more."""
    with connection.cursor() as cursor:
        cursor.execute(PATIENCE)
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
        now: Naming | None = row
        while now is not None and not _is_written(model, now):
            # Somebody has written it between the search and here. If not, it is refused for a fault of ours.
            again = next(iter(_naming(model, names, person, pk=row.pk)), None)
            if again == now:
                raise RuntimeError(f"What is left of {model._meta.label} {row.pk} without the person was refused.")
            now = again
    return len(found)


def _is_written(model: type[Model], row: Naming) -> bool:
    """False when the database refused it, because the row does not say what it said."""
    # The mark may be longer than the name, and texts end somewhere.
    after = {name: _cut(model, name, value) for name, value in row.after.items()}
    digests = _digests(model, row.pk, after)
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(WRITE, [model._meta.db_table, str(row.pk), json.dumps(row.after), json.dumps(digests)])
            noted = cursor.fetchall()
    except ProgrammingError as refused:
        if not isinstance(refused.__cause__, InsufficientPrivilege):
            raise
        return False
    for log, before_hash, after_hash in noted:
        masked_lines.sign(log, str(row.pk), before=before_hash, after=after_hash)
    return True


def _naming(model: type[Model], names: Sequence[str], person: Person, **only: Any) -> list[Naming]:
    if not person.sought:
        return []
    naming = Q()
    for name, word in product(names, person.patterns):
        naming |= Q(**{f"{name}_as_text__icontains": word})
    as_text = {f"{name}_as_text": Cast(name, TextField()) for name in names}
    found = []
    rows = model._base_manager.filter(**only).alias(**as_text).filter(naming).order_by()
    for pk, *values in rows.values_list("pk", *names):
        before = dict(zip(names, values, strict=True))
        after = {name: person.clean_value(value) for name, value in before.items()}
        changed = {name: value for name, value in after.items() if value != before[name]}
        if changed:
            found.append(Naming(pk=pk, before=before, after=changed))
    return found


def _cut(model: type[Model], name: str, value: Any) -> Any:
    most = getattr(model._meta.get_field(name), "max_length", None)
    return value[:most] if isinstance(value, str) else value


def _digests(model: type[Model], pk: Any, after: dict[str, Any]) -> dict[str, str]:
    """The digests of the row as it will be; one that did not fit before is left as it is."""
    if model is Approval and "parameters" in after:
        return approvals.digests_with(Approval.objects.select_for_update().get(pk=pk), after["parameters"])
    if model is PlaybookVersion and after:
        return genuine.digests_with(PlaybookVersion.objects.select_for_update().get(pk=pk), after)
    return {}
