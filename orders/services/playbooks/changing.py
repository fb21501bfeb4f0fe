"""Changes of what runs by itself: one row each, and which of them made what counts now.

Whoever set a value that stands is answerable for it, however often others have saved the same value since.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from orders.actor import Actor, Maker
from orders.models import Approval, AutomationChange, Playbook
from orders.models.typed_words import GONE
from orders.playbooks.definition import ActivityStep, Definition, walk
from orders.playbooks.validation import is_expression
from orders.services.playbooks.publishing import definition_of, entries_of, known_to
from orders.vocabulary import AutomationKind, VersionStatus


def record(
    kind: AutomationKind,
    subject: str,
    *,
    before: dict[str, Any],
    after: dict[str, Any],
    actor: Actor,
    approval: Approval | None = None,
) -> None:
    """Keep the change, in the transaction that makes it; nothing when it changes nothing."""
    if before == after:
        return
    AutomationChange.objects.create(
        kind=kind,
        subject=subject,
        before=before,
        after=after,
        changed_by_id=actor.user.pk if actor.user is not None else None,
        actor=actor.name,
        approval=approval,
    )


def makers(kind: AutomationKind, subject: str, *, until: datetime) -> Iterator[Maker]:
    """Who set the values that stood at `until`."""
    rows = list(_changes(kind, subject).filter(at__lte=until))
    for name, value in rows[0].after.items() if rows else ():
        setter = rows[0]
        for row in rows:
            # What was erased may have been anything.
            if value == GONE or row.after.get(name) != value:
                break
            setter = row
        yield from _people(setter)


def makers_since(kind: AutomationKind, subject: str, *, since: datetime) -> Iterator[Maker]:
    """Who changed it after `since`."""
    for row in _changes(kind, subject).filter(at__gt=since):
        yield from _people(row)


def gives_money(playbook: Playbook) -> bool:
    """Whether a version that new runs may follow gives money away."""
    versions = playbook.versions.filter(status=VersionStatus.PUBLISHED)
    return any(gives(definition_of(version)) for version in versions)


def gives(definition: Definition) -> bool:
    return any(entry.gives_money for entry in entries_of(definition))


def is_called_for_money(endpoint: str) -> bool:
    """Whether a version that gives money, and that runs may follow, calls the endpoint."""
    for playbook in Playbook.objects.prefetch_related("versions"):
        for version in playbook.versions.all():
            if version.status != VersionStatus.DRAFT:
                definition = definition_of(version)
                if gives(definition) and calls(definition, endpoint):
                    return True
    return False


def calls(definition: Definition, endpoint: str) -> bool:
    """Whether it, or what it runs, calls the endpoint; a name that is computed may be any."""
    return any(is_expression(name) or name == endpoint for name in endpoints_of(definition))


def endpoints_of(definition: Definition) -> set[str]:
    """The names of the endpoints that it and its sub-playbooks call, expressions as they stand."""
    named: set[str] = set()
    for one in [definition, *known_to(definition.model_dump(mode="json")).values()]:
        for _, step, _ in walk(one.steps):
            if isinstance(step, ActivityStep):
                named.update(_named(call) for call in (step, step.undo) if call and call.activity == "call_partner")
    return named


def _named(call: Any) -> str:
    return str(call.parameters.get("endpoint", ""))


def _changes(kind: AutomationKind, subject: str) -> Any:
    changes = AutomationChange.objects.select_related("approval").filter(kind=kind, subject=subject)
    return changes.order_by("-id")


def _people(row: AutomationChange) -> Iterable[Maker]:
    what = {
        AutomationKind.TRIGGER: f"what starts {row.subject}",
        AutomationKind.SCHEDULE: f"the schedule of {row.subject}",
        AutomationKind.ENDPOINT: f"the endpoint {row.subject}",
    }[AutomationKind(row.kind)]
    if row.changed_by_id is not None:
        yield Maker(user_id=row.changed_by_id, part=f"set {what}")
    if row.approval is not None and row.approval.decided_by_id is not None:
        yield Maker(user_id=row.approval.decided_by_id, part=f"approved {what}")
