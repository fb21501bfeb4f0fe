"""Incidents: what was opened for the same cause is one trouble for staff, with how many orders, how much, since when.

Tasks and system events that tell their cause carry the incident of it. From the second one that is open, staff see the
incident and its one task in place of theirs. It closes by itself when the last has gone on. Who opens or closes a task
only sets or leaves the reference, so a hundred orders that fail together do not wait for one row; telling and closing
come after their commit, in a transaction of their own, and the sweep looks again (`settle_all`).
"""

from __future__ import annotations

import re
from functools import partial
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from orders import clock
from orders.models import Incident, StaffTask, SystemEvent
from orders.selectors.incidents import Figures, figures, sentence, subject
from orders.vocabulary import TERMINAL_STATUSES, TaskKind, TaskLevel, TaskStatus

#: so many open at once are an incident; one alone is its own task
TOLD_FROM = 2
#: open incidents that one sweep looks at
PAGE = 200
OPENED_BY = "incidents"
ENDED = "Everything that stood still for it has gone on."


def of_cause(kind: str, cause: str) -> Incident:
    """The open incident of the cause, made when there is none; in the caller's transaction.

    `cause` says in words for people what is wrong, and nothing of the single order.
    """
    says = without_names(cause)
    made, _ = Incident.objects.get_or_create(
        cause=f"{kind}|{says}"[:250], closed_at=None, defaults={"says": says[:500] or kind}
    )
    return made


def without_names(text: str) -> str:
    """The words of an error without what differs from order to order, or names a person: ids, numbers, addresses."""
    text = re.sub(r"\S*@\S*", "…", text)
    # The line of the code stays: it is the cause.
    kept = re.findall(r"\S+\.py:\d+", text)
    text = re.sub(r"\S+\.py:\d+", "\x00", text)
    text = re.sub(r"\b[\w-]*\d[\w-]*(?:[.,:]\d[\w-]*)*", "…", text)
    for place in kept:
        text = text.replace("\x00", place, 1)
    return text.strip()


def touched(incident_id: UUID | None) -> None:
    """Something was opened or closed: look at the incident when the transaction has committed."""
    if incident_id is not None:
        # Best effort: what this misses the sweep sees.
        transaction.on_commit(partial(_look, incident_id), robust=True)


def _look(incident_id: UUID) -> None:
    incident = Incident.objects.get(pk=incident_id)
    if incident.told_at and not incident.closed_at and figures([incident]):
        # The hundredth of them changes nothing, and must not wait for the others.
        return
    settle(incident_id)


def settle(incident_id: UUID) -> None:
    """Tell staff of it, or close it, as its members are now. The caller holds no other lock."""
    with transaction.atomic():
        incident = Incident.objects.select_for_update(no_key=True).get(pk=incident_id)
        now = figures([incident]).get(incident.pk, Figures())
        if now.count and incident.closed_at:
            _open_again(incident)
        elif not now.count and incident.closed_at is None:
            _close(incident)
        elif now.count and (incident.told_at or now.count >= TOLD_FROM):
            _tell(incident, now)


def settle_all() -> None:
    """Note which orders have gone on since their trouble, and look at every open incident. For the sweep."""
    standing = SystemEvent.objects.filter(
        incident__isnull=False, incident__closed_at=None, over_at=None, acknowledged_at=None
    )
    has_gone_on = Q(order__status_since__gt=F("last_at")) | Q(order__status__in=TERMINAL_STATUSES)
    gone = standing.filter(has_gone_on).order_by().values("pk")
    SystemEvent.objects.filter(pk__in=gone).update(over_at=Now())
    still_open = StaffTask.objects.exclude(status=TaskStatus.DONE).filter(incident__closed_at__isnull=False)
    wanted = {*Incident.objects.filter(closed_at=None).order_by("created_at").values_list("pk", flat=True)[:PAGE]}
    wanted |= {*still_open.order_by().values_list("incident_id", flat=True)[:PAGE]}
    for incident_id in sorted(wanted):
        settle(incident_id)


def _open_again(incident: Incident) -> None:
    """Something joined while it was being closed."""
    other = Incident.objects.filter(cause=incident.cause, closed_at=None).first()
    if other is None:
        incident.closed_at, incident.resolution = None, ""
        incident.save(update_fields=["closed_at", "resolution"])
        return
    StaffTask.objects.filter(incident=incident).exclude(status=TaskStatus.DONE).update(incident=other)
    incident.system_events.filter(over_at=None, acknowledged_at=None).update(incident=other)


def _close(incident: Incident) -> None:
    incident.closed_at, incident.resolution = clock.now(), ENDED
    incident.save(update_fields=["closed_at", "resolution"])
    StaffTask.objects.filter(subject=subject(incident)).exclude(status=TaskStatus.DONE).update(
        status=TaskStatus.DONE, done_at=Now(), done_by=OPENED_BY, resolution=ENDED
    )


def _tell(incident: Incident, now: Figures) -> None:
    incident.told_at, incident.most = incident.told_at or clock.now(), max(incident.most, now.count)
    incident.save(update_fields=["told_at", "most"])
    StaffTask.objects.update_or_create(
        subject=subject(incident),
        kind=TaskKind.INCIDENT,
        done_at=None,
        defaults={"says": sentence(incident, now)[:500]},
        create_defaults={
            "says": sentence(incident, now)[:500],
            "level": TaskLevel.LEAD,
            "opened_by": OPENED_BY,
            "created_at": incident.created_at,
        },
    )
