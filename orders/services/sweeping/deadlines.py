"""Orders that are longer in their status than it may take, and wait for nothing that excuses it.

Steps that fail are tried again without limit, so "it fails" is no alarm; that it has failed for a quarter of an hour
is.
"""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from orders import history
from orders.actor import Actor
from orders.amounts import duration
from orders.models import Command, Finding, Order, PartnerHealth, Step
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
)
from orders.wording import status_word

#: orders that one sweep notes
PAGE = 200


def sweep(*, actor: Actor) -> int:
    """Note what is overdue and resolve what is not any more; answers how many findings are new."""
    findings.resolve_of_closed(actor=actor)
    late = list(overdue().order_by("status_since").values_list("pk", flat=True)[:PAGE])
    new = sum(_note(order_id, actor=actor) for order_id in late)
    standing = Finding.objects.filter(kind=FindingKind.OVERDUE, resolved_at=None)
    for order_id in list(standing.exclude(order__in=overdue()).values_list("order_id", flat=True)[:PAGE]):
        with transaction.atomic():
            order = history.lock_order(order_id)
            if not overdue().filter(pk=order_id).exists():
                says = f"It is {status_word(order.status).lower()} now, and in time or excused."
                findings.resolve(FindingKind.OVERDUE, order, resolution=says, actor=actor)
    progress.ran(SweepPart.DEADLINES, looked_at=len(late))
    return new


def overdue() -> QuerySet[Order]:
    """Past the deadline of the status; not on hold, paused, or behind a partner that is out of order."""
    now = timezone.now()
    late = Q(pk=None)
    for status, seconds in settings.SWEEP_DEADLINE_SECONDS.items():
        late |= Q(status=OrderStatus(status), status_since__lt=now - timedelta(seconds=seconds))
    commands = Command.objects.filter(
        order=OuterRef("pk"), kind__in=[CommandKind.HOLD, CommandKind.STEP_PAUSE], status=CommandStatus.ACCEPTED
    )
    return Order.objects.filter(late).exclude(Exists(commands)).exclude(Exists(_parked()))


def _parked() -> QuerySet[Step]:
    """Open steps of the outer order whose partner is not called now."""
    down = PartnerHealth.objects.exclude(state=BreakerState.CLOSED).values_list("partner", flat=True)
    names = [name for partner in down for name in STEPS_OF_PARTNER.get(PartnerCode(partner), ())]
    return Step.objects.filter(order=OuterRef("pk"), status=StepStatus.OPEN, name__in=names)


def _note(order_id: object, *, actor: Actor) -> bool:
    with transaction.atomic():
        order = history.lock_order(str(order_id))
        if not overdue().filter(pk=order.pk).exists():
            return False
        step = order.steps.filter(status=StepStatus.OPEN).exclude(last_error="").first()
        why = f" Last error: {step.last_error}" if step else ""
        says = f"{status_word(order.status)} for {duration(timezone.now() - order.status_since)}.{why}"
        return findings.note(FindingKind.OVERDUE, order, says=says, actor=actor)
