"""A lead's decision for everything that an incident is about, or for some of it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from uuid import UUID

from orders.actor import Actor
from orders.errors import DomainError, InvalidInput, WrongState
from orders.models import Incident, Order, StaffTask, SystemEvent
from orders.services import incidents, resolving, stepping, system_events
from orders.vocabulary import IncidentDecision, RecoveryDecision, TaskKind, TaskStatus

#: decided in one call; what is left is said
MOST = 500


@dataclass(frozen=True, kw_only=True)
class Decided:
    done: int
    #: what was refused -> why
    refused: dict[str, str]
    left: int


def decide(
    incident_id: UUID | str,
    decision: IncidentDecision,
    *,
    note: str,
    actor: Actor,
    numbers: Collection[str] = (),
    reference: str = "",
    recovery: RecoveryDecision | str = "",
) -> Decided:
    """Try again or resolve everything that the incident is about, or the orders `numbers`; each for itself.

    `recovery` is for orders whose process is gone: undo them, or finish those whose parcel was booked.

    Raises `Incident.DoesNotExist`, `NotPermitted`, `InvalidInput`, or `WrongState` when it is closed or nothing of it
    can be tried again.
    """
    actor.require("orders.decide_incident")
    note = note.strip()
    if not 1 <= len(note) <= 500:
        raise InvalidInput("note", "A note of 1 to 500 characters is needed: what was decided and why?")
    incident = Incident.objects.get(pk=incident_id)
    if incident.closed_at is not None:
        raise WrongState(f"It was closed at {incident.closed_at:%Y-%m-%d %H:%M:%S} UTC: {incident.resolution}")
    refused: dict[str, str] = {}
    done, found = 0, _members(incident, decision, numbers)
    for name, member in found[:MOST]:
        try:
            _decide(member, decision, note=note, reference=reference, recovery=recovery, actor=actor)
        except DomainError as error:
            refused[name] = str(error)
        except Order.DoesNotExist:
            refused[name] = "There is no such order."
        else:
            done += 1
    incidents.settle(incident.pk)
    return Decided(done=done, refused=refused, left=max(0, len(found) - MOST))


def _members(
    incident: Incident, decision: IncidentDecision, numbers: Collection[str]
) -> list[tuple[str, StaffTask | SystemEvent]]:
    tasks = incident.tasks.exclude(status=TaskStatus.DONE).select_related("order").order_by("created_at", "id")
    events = incident.system_events.filter(acknowledged_at=None, over_at=None).select_related("order")
    found: list[tuple[str, StaffTask | SystemEvent]] = [(_name(one), one) for one in tasks]
    if decision is IncidentDecision.RESOLVE:
        found += [(_name(one), one) for one in events.order_by("created_at", "id")]
    if numbers:
        unknown = sorted(set(numbers) - {name for name, _ in found})
        if unknown:
            raise InvalidInput("orders", f"Not of this incident: {', '.join(unknown)[:200]}.")
        found = [one for one in found if one[0] in numbers]
    if not found:
        raise WrongState("Nothing of it can be tried again: it goes on by itself when the cause is mended.")
    return found


def _name(member: StaffTask | SystemEvent) -> str:
    if member.order is not None:
        return member.order.number
    return member.subject if isinstance(member, StaffTask) else member.workflow_id


def _decide(
    member: StaffTask | SystemEvent,
    decision: IncidentDecision,
    *,
    note: str,
    reference: str,
    recovery: RecoveryDecision | str,
    actor: Actor,
) -> None:
    if decision is IncidentDecision.RETRY:
        if member.order is None:
            raise WrongState("It is about no order's step.")
        stepping.retry(member.order.number, actor=actor, reason=note)
    elif isinstance(member, StaffTask):
        asked = recovery if member.kind == TaskKind.PROCESS_ENDED else ""
        resolving.resolve(member.pk, note=note, reference=reference, decision=asked, actor=actor)
    else:
        system_events.acknowledge(member.pk, note=note, actor=actor)
