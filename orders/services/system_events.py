"""Troubles of the system itself: written down once, counted, and acknowledged by a person.

Best effort by design: what cannot be written is logged, and never fails the work that ran into it.
"""

from __future__ import annotations

import logging
from uuid import UUID

from django.db import Error as DatabaseError
from django.db import transaction
from django.db.models import F

from orders import clock
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Command, Order, Step, SystemEvent
from orders.services import incidents
from orders.vocabulary import CommandKind, FailureType

logger = logging.getLogger(__name__)


def remember(
    error_type: str,
    message: str,
    *,
    workflow_id: str,
    run_id: str = "",
    activity: str = "",
    attempt: int | None = None,
    order_id: str | None = None,
    cause: str = "",
) -> None:
    """Write the trouble down, or count it when it stands already. What cannot be written is only logged.

    Events with the same `cause`, of orders that stand still for it, are one incident for staff.
    """
    try:
        _write(error_type, message, workflow_id, run_id, activity, attempt, order_id, cause)
    except DatabaseError as error:
        logger.warning("A system event of %s was not written: %s", workflow_id, type(error).__name__)
    except Exception:
        # Whoever calls this is about to raise an error of its own, which must not be lost to ours.
        logger.exception("A system event of %s was not written", workflow_id)


def record_end(order: Order, *, actor: Actor) -> None:
    """The order ended because of the system. The caller holds the order's lock in the transaction that closes it."""
    step = _last_failing(order)
    message = order.failure_message
    if step is not None and step.last_error not in message:
        message = f"{message} The last attempt: {step.last_error}"
    _write(
        FailureType(order.failure_type),
        message,
        actor.workflow_id or f"order:{order.pk}",
        actor.run_id or order.process_run_id,
        step.name if step else "",
        step.token if step else None,
        str(order.pk),
    )


def acknowledge(event_id: UUID | str, *, note: str = "", actor: Actor) -> SystemEvent:
    """Say that somebody saw it. Raises `SystemEvent.DoesNotExist`, `NotPermitted`, `InvalidInput` or `WrongState`."""
    actor.require("orders.acknowledge_systemevent")
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("A person says so: sign in.", permission="orders.acknowledge_systemevent")
    note = note.strip()
    if len(note) > 500:
        raise InvalidInput("note", "A note has at most 500 characters.")
    with transaction.atomic():
        event = SystemEvent.objects.select_for_update(of=("self",)).select_related("acknowledged_by").get(pk=event_id)
        if event.acknowledged_at is not None:
            raise WrongState(f"{event.acknowledged_by} saw this at {event.acknowledged_at:%Y-%m-%d %H:%M:%S} UTC.")
        event.acknowledged_by_id, event.acknowledged_at, event.note = actor.user.pk, clock.now(), note
        event.save(update_fields=["acknowledged_by", "acknowledged_at", "note"])
        incidents.touched(event.incident_id)
    return event


def _write(
    error_type: str,
    message: str,
    workflow_id: str,
    run_id: str,
    activity: str,
    attempt: int | None,
    order_id: str | None,
    cause: str = "",
) -> None:
    newest = {"run_id": run_id, "attempt": attempt, "message": message[:500] or error_type}
    with transaction.atomic():
        event, is_new = SystemEvent.objects.get_or_create(
            workflow_id=workflow_id,
            activity=activity,
            error_type=error_type,
            acknowledged_at=None,
            defaults={
                **newest,
                "order": Order.objects.filter(pk=order_id).first() if order_id else None,
                "request_id": _request_id(order_id) if order_id else "",
            },
        )
        if not is_new:
            SystemEvent.objects.filter(pk=event.pk).update(**newest, times=F("times") + 1, last_at=clock.now())
        if cause and (event.incident_id is None or event.over_at is not None):
            # It stood still before, went on, and stands still again: of the incident of today.
            event.incident, event.over_at = incidents.of_cause(error_type, cause), None
            event.save(update_fields=["incident", "over_at"])
            incidents.touched(event.incident_id)


def _request_id(order_id: str) -> str:
    start = Command.objects.filter(order_id=order_id, kind=CommandKind.START).values_list("request_id", flat=True)
    return start.first() or ""


def _last_failing(order: Order) -> Step | None:
    return order.steps.exclude(last_error="").order_by("-last_error_at").first()
