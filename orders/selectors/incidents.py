"""Incidents as staff see them, and the orders that stand still for one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from orders.amounts import counted, money
from orders.models import Incident, Order, StaffTask, SystemEvent
from orders.vocabulary import TaskKind, TaskStatus

PREFIX = "incident:"
#: kind of the tasks -> what they wait for
WAITS_FOR = {
    TaskKind.REQUEST_REFUSED: "Mend what the partner refuses, then try all again. By itself that happens seldom.",
    TaskKind.OVERDUE: "Find out what they wait for.",
    TaskKind.WEDGED: "Mend the code or take the deploy back; they go on by themselves.",
    TaskKind.PROCESS_ENDED: "Decide: what you resolve is undone.",
    TaskKind.RUN: "Decide: what you resolve is started again.",
}
ERRORS_WAIT_FOR = "Mend the database or the code; each is tried again by itself."
# One row for each order, however many tasks and events it has; what is about no order counts by itself.
FIGURES = """
    SELECT member.incident_id, o.currency, count(*), coalesce(sum(o.total_minor), 0)
    FROM (
        SELECT incident_id, order_id, CASE WHEN order_id IS NULL THEN id END AS alone
        FROM orders_stafftask WHERE incident_id = ANY(%(ids)s) AND status <> 'done'
        UNION
        SELECT incident_id, order_id, CASE WHEN order_id IS NULL THEN id END
        FROM orders_systemevent WHERE incident_id = ANY(%(ids)s) AND over_at IS NULL AND acknowledged_at IS NULL
    ) AS member
    LEFT JOIN orders_order AS o ON o.id = member.order_id
    GROUP BY 1, 2 ORDER BY 2
"""


@dataclass(kw_only=True)
class Figures:
    """What stands still for an incident now."""

    count: int = 0
    #: currency -> minor units of the orders' totals
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def money(self) -> str:
        return ", ".join(money(minor, currency) for currency, minor in self.totals.items())


@dataclass(frozen=True, kw_only=True)
class Shown:
    """An incident with its figures of now; of a closed one nothing stands still any more."""

    incident: Incident
    figures: Figures
    waits_for: str

    @property
    def since(self) -> datetime:
        return self.incident.created_at


def told() -> QuerySet[Incident]:
    """Those that staff see, the newest first."""
    return Incident.objects.exclude(told_at=None).order_by("-created_at", "-id")


def still_open() -> QuerySet[Incident]:
    return told().filter(closed_at=None)


def shown(rows: Sequence[Incident]) -> list[Shown]:
    """The rows with their figures, in one more query."""
    found = figures(rows)
    return [
        Shown(
            incident=row,
            figures=found.get(row.pk, Figures()),
            waits_for="" if row.closed_at else waits_for(row),
        )
        for row in rows
    ]


def orders_of(orders: QuerySet[Order], incident_id: UUID | str) -> QuerySet[Order]:
    """Those that stand still for the incident."""
    mine = {"order": OuterRef("pk"), "incident": incident_id}
    tasks = StaffTask.objects.filter(**mine).exclude(status=TaskStatus.DONE)
    events = SystemEvent.objects.filter(**mine, over_at=None, acknowledged_at=None)
    return orders.filter(Exists(tasks) | Exists(events))


def figures(incidents: Iterable[Incident]) -> dict[UUID, Figures]:
    """How many stand still for each, and how much; one query."""
    found: dict[UUID, Figures] = {}
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, {"ids": [incident.pk for incident in incidents]})
        for incident_id, currency, count, total in cursor.fetchall():
            of = found.setdefault(incident_id, Figures())
            of.count += count
            if currency:
                of.totals[currency] = int(total)
    return found


def subject(incident: Incident) -> str:
    """What the incident's own task is about."""
    return f"{PREFIX}{incident.pk}"


def waits_for(incident: Incident) -> str:
    kind = incident.cause.partition("|")[0]
    return WAITS_FOR.get(TaskKind(kind), "") if kind in set(TaskKind) else ERRORS_WAIT_FOR


def sentence(incident: Incident, now: Figures) -> str:
    """The incident in a line, with its figures."""
    what = counted(now.count, "order") if now.totals else counted(now.count, "case")
    worth = f", {now.money}" if now.totals else ""
    return f"{incident.says.rstrip('.')}: {what}{worth}. {waits_for(incident)}".strip()
