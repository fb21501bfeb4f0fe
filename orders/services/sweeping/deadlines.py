"""Orders that are longer in their status than it may take, and wait for nothing that excuses it.

Steps that fail are tried again without limit, so "it fails" is no alarm; that it has failed for a quarter of an hour
is.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from orders import clock, history, outbox
from orders.actor import Actor
from orders.amounts import duration
from orders.models import Command, Finding, Order, PartnerHealth, StaffTask, Step, SystemEvent
from orders.services import deciding, incidents
from orders.services.sweeping import findings, progress
from orders.vocabulary import (
    STEPS_OF_PARTNER,
    BreakerState,
    CommandKind,
    CommandStatus,
    FindingKind,
    OrderStatus,
    PartnerCode,
    StepStatus,
    SweepPart,
    TaskKind,
    TaskStatus,
)
from orders.wording import status_word

#: orders that one sweep notes
PAGE = 200


def sweep(*, actor: Actor) -> int:
    """Note what is overdue, resolve what is not any more, close approvals out of their time.

    Answers how many findings are new.
    """
    findings.resolve_of_closed(actor=actor)
    incidents.settle_all()
    late = list(overdue().order_by("status_since").values_list("pk", flat=True)[:PAGE])
    new = sum(_note(order_id, actor=actor) for order_id in late)
    standing = Finding.objects.filter(kind=FindingKind.OVERDUE, resolved_at=None)
    for order_id in list(standing.exclude(order__in=overdue()).values_list("order_id", flat=True)[:PAGE]):
        with transaction.atomic():
            order = history.lock_order(order_id)
            if not overdue().filter(pk=order_id).exists():
                says = f"It is {status_word(order.status).lower()} now, and in time or excused."
                findings.resolve(FindingKind.OVERDUE, order, resolution=says, actor=actor)
    deciding.lapse(actor=actor)
    progress.ran(SweepPart.DEADLINES, looked_at=len(late))
    return new


def overdue() -> QuerySet[Order]:
    """Past the deadline of the status; not on hold, paused, parked, behind a partner that is out of order, or queued.

    An order whose start waits in the outbox waits for its turn in the bulk lane or for Temporal, which the outbox's own
    line on the health card tells of once; its time begins when Temporal has been told.
    """
    now = clock.now()
    late = Q(pk=None)
    for status, seconds in settings.SWEEP_DEADLINE_SECONDS.items():
        late |= Q(status=OrderStatus(status), status_since__lt=now - timedelta(seconds=seconds))
    commands = Command.objects.filter(
        order=OuterRef("pk"), kind__in=[CommandKind.HOLD, CommandKind.STEP_PAUSE], status=CommandStatus.ACCEPTED
    )
    parked = StaffTask.of_parked_steps().filter(order=OuterRef("pk"))
    time = timedelta(seconds=settings.SWEEP_DEADLINE_SECONDS.get(OrderStatus.QUEUED, 0))
    waits = Q(Exists(outbox.starts_of_outer_order(delivered_within=time)), status=OrderStatus.QUEUED)
    excused = Exists(commands) | Exists(_behind_a_breaker()) | Exists(parked) | waits
    known = Q(Exists(_known_tasks())) | Q(Exists(_known_events()))
    return Order.objects.filter(late).exclude(excused | known)


def _behind_a_breaker() -> QuerySet[Step]:
    """Open steps of the outer order whose partner is not called now."""
    down = PartnerHealth.objects.exclude(state=BreakerState.CLOSED).values_list("partner", flat=True)
    names = [name for partner in down for name in STEPS_OF_PARTNER.get(PartnerCode(partner), ())]
    return Step.objects.filter(order=OuterRef("pk"), status=StepStatus.OPEN, name__in=names)


#: what was told to staff as one incident and keeps an order: that it is late as well says nothing new
TOLD = {"order": OuterRef("pk"), "incident__told_at__isnull": False, "incident__closed_at": None}


def _known_tasks() -> QuerySet[StaffTask]:
    return StaffTask.objects.filter(**TOLD).exclude(status=TaskStatus.DONE).exclude(kind=TaskKind.OVERDUE)


def _known_events() -> QuerySet[SystemEvent]:
    return SystemEvent.objects.filter(**TOLD, over_at=None, acknowledged_at=None)


def _note(order_id: object, *, actor: Actor) -> bool:
    with transaction.atomic():
        order = history.lock_order(str(order_id))
        if not overdue().filter(pk=order.pk).exists():
            return False
        step = order.steps.filter(status=StepStatus.OPEN).exclude(last_error="").first()
        why = f" Last error: {step.last_error}" if step else ""
        cause = f"{status_word(order.status)} for too long.{why}"
        says = f"{status_word(order.status)} for {duration(clock.now() - order.status_since)}.{why}"
        return findings.note(FindingKind.OVERDUE, order, says=says, actor=actor, cause=cause)
