"""Quality control: the day's random sample of shipped orders, and a person's word on each.

The workflow draws positions, not orders: the shipped orders of a day that is over are a fixed list, and a position in
it means the same order in every replay and every attempt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import F, QuerySet, Window
from django.db.models.functions import RowNumber

from orders import clock, history
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Order, QualityCheck, QualitySample
from orders.services import commands, tasks
from orders.vocabulary import CommandKind, EventType, OrderStatus, QualityStatus, TaskKind, TaskLevel


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a sample is drawn from."""

    shipped: int
    size: int


def frame(day: date) -> Frame:
    """How many orders were shipped on the UTC day, and how many of them are to be drawn; none if it was drawn."""
    shipped = _shipped(day).count()
    if not shipped or QualitySample.objects.filter(day=day).exists():
        return Frame(shipped=shipped, size=0)
    size = min(math.ceil(shipped * settings.QUALITY_SAMPLE_SHARE), settings.QUALITY_SAMPLE_MOST, shipped)
    return Frame(shipped=shipped, size=max(1, size))


def store(day: date, *, shipped: int, positions: Sequence[int], actor: Actor) -> int:
    """Write the day's sample, once; answers how many orders are in it, whoever wrote it.

    `positions` count from 0 among the day's shipped orders in the order of their end.
    """
    with transaction.atomic():
        sample, made = QualitySample.objects.get_or_create(
            day=day, defaults={"shipped": shipped, "drawn": len(positions), "run_id": actor.run_id}
        )
        if made:
            for order in history.lock_orders(_at(day, positions)):
                QualityCheck.objects.create(sample=sample, order=order)
                said = f"Drawn at random, {len(positions)} of the {shipped} orders that were shipped on {day}"
                history.record(order, EventType.QUALITY_SAMPLED, actor=actor, reason=said)
    return sample.drawn


def passed(check_id: UUID | str, *, note: str, actor: Actor) -> QualityCheck:
    """The order is as it should be. Raises as `_answer` does."""
    return _answer(check_id, QualityStatus.PASSED, CommandKind.QUALITY_PASS, note=note, actor=actor)


def failed(check_id: UUID | str, *, note: str, actor: Actor) -> QualityCheck:
    """Something is wrong with the order: a task says what. Raises as `_answer` does."""
    return _answer(check_id, QualityStatus.FAILED, CommandKind.QUALITY_FAIL, note=note, actor=actor)


def _answer(check_id: UUID | str, status: QualityStatus, kind: CommandKind, *, note: str, actor: Actor) -> QualityCheck:
    """Raises `NotPermitted`, `QualityCheck.DoesNotExist`, `InvalidInput`, or `WrongState` naming who was first."""
    actor.require("orders.check_quality")
    note = note.strip()
    if not 1 <= len(note) <= 500:
        raise InvalidInput("note", "A note of 1 to 500 characters is needed: what was looked at, and what was found?")
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("A check is a person's: sign in.", permission="orders.check_quality")
    with transaction.atomic():
        order = history.lock_order(QualityCheck.objects.values_list("order_id", flat=True).get(pk=check_id))
        check = QualityCheck.objects.select_for_update(of=("self",)).select_related("checked_by").get(pk=check_id)
        if check.status != QualityStatus.TO_CHECK:
            when = f"{check.checked_at:%Y-%m-%d %H:%M:%S} UTC"
            raise WrongState(f"{check.checked_by} checked {order.number} at {when}: {check.status}.")
        check.status, check.note = status, note
        check.checked_by_id, check.checked_at = actor.user.pk, clock.now()
        check.save(update_fields=["status", "note", "checked_by", "checked_at"])
        commands.record(kind, order, actor=actor, reason=note, done=f"The check is {status}.")
        data = {"check": str(check.pk), "status": status}
        history.record(order, EventType.QUALITY_CHECKED, actor=actor, reason=note, data=data)
        if status is QualityStatus.FAILED:
            says = f"{order.number} did not pass its quality check: {note}"
            tasks.open_task(TaskKind.QUALITY_FAILED, order, level=TaskLevel.AGENT, says=says, actor=actor)
    return check


def _shipped(day: date) -> QuerySet[Order]:
    """Completed means that the goods left; the list of a day that is over never changes."""
    begins = datetime.combine(day, time(), UTC)
    return Order.objects.filter(
        status=OrderStatus.COMPLETED, closed_at__gte=begins, closed_at__lt=begins + timedelta(days=1)
    )


def _at(day: date, positions: Sequence[int]) -> list[UUID]:
    rows = _shipped(day).annotate(row=Window(RowNumber(), order_by=[F("closed_at").asc(), F("pk").asc()]))
    return list(rows.filter(row__in=[position + 1 for position in positions]).values_list("pk", flat=True))
