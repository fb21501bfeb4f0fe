"""Refreshing what partners tell us: a run is a list of calls, one row each, and ends when each has its result.

The list is written down before the first call. Whatever happens to the partner, the worker or Temporal, a call is
pending, done or failed, and none can be forgotten; a list in memory is how an open breaker once dropped the rest of it.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet

from orders import clock, outbox
from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import Order, PartnerRun, Shipment
from orders.services import commands
from orders.vocabulary import (
    REFRESHED,
    TERMINAL_STATUSES,
    CommandKind,
    Currency,
    PartnerCallStatus,
    PartnerCode,
    PartnerRunStatus,
    ShipmentStatus,
    Topic,
    TrackingStatus,
)
from orders.wording import PARTNERS, status_word

# One statement whatever the length of the list: a request starts a run over a hundred thousand shipments.
LIST_CALLS = """
    INSERT INTO orders_partnercall (run_id, subject, status, attempts, failures, error_type, error_message, outcome)
    SELECT %s, asked.subject, 'pending', 0, 0, '', '', '' FROM ({subjects}) AS asked(subject)
"""


def start(partner: PartnerCode, *, actor: Actor, reason: str) -> PartnerRun:
    """List the calls and ask for the run. Raises `InvalidInput`, or `WrongState` naming the run that is under way."""
    actor.require("orders.run_partner_calls")
    if not reason.strip():
        raise InvalidInput("reason", "Say why; it is kept with the run.")
    if partner not in REFRESHED:
        raise WrongState(f"There is nothing to refresh at {PARTNERS[partner]}.")
    user = actor.user if actor.user is not None and actor.user.pk else None
    with transaction.atomic():
        run = PartnerRun(
            partner=partner,
            requested_by=user,  # type: ignore[misc]
            actor=actor.name,
            channel=actor.channel,
            reason=reason[:500],
        )
        try:
            with transaction.atomic():
                run.save(force_insert=True)
        except IntegrityError as error:
            if "partner_run_one_running" not in str(error):
                raise
            first = PartnerRun.objects.filter(partner=partner, status=PartnerRunStatus.RUNNING).first()
            by = f" by {first.actor} at {first.created_at:%Y-%m-%d %H:%M:%S} UTC" if first else ""
            raise WrongState(f"A run over {PARTNERS[partner]} was started{by} and is under way.") from error
        run.total = _list_calls(run)
        run.save(update_fields=["total"])
        commands.record(
            CommandKind.PARTNER_RUN,
            None,
            actor=actor,
            reason=reason,
            done=f"{counted(run.total, 'call')} to {PARTNERS[partner]}: {REFRESHED[partner]}.",
        )
        outbox.publish(
            Topic.START_PARTNER_RUN, aggregate=f"partner-run:{run.pk}", body={"run_id": str(run.pk), "partner": partner}
        )
    return run


def cancel(run_id: UUID | str, *, actor: Actor, reason: str) -> PartnerRun:
    """Make no further call of the run; results that came stay.

    Raises `PartnerRun.DoesNotExist`, `InvalidInput`, or `WrongState` for one that has ended.
    """
    actor.require("orders.run_partner_calls")
    if not reason.strip():
        raise InvalidInput("reason", "Say why; it is kept with the run.")
    with transaction.atomic():
        run = PartnerRun.objects.select_for_update().get(pk=run_id)
        if run.status != PartnerRunStatus.RUNNING:
            ended = f"{run.finished_at:%Y-%m-%d %H:%M:%S} UTC"
            raise WrongState(f"The run is {status_word(run.status).lower()} since {ended}.")
        left = _stop(run, note=f"Cancelled by {actor.name}: {reason}")
        commands.record(
            CommandKind.PARTNER_RUN_CANCEL,
            None,
            actor=actor,
            reason=reason,
            done=f"{counted(left, 'call')} to {PARTNERS[PartnerCode(run.partner)]} not made.",
        )
        outbox.publish(Topic.CANCEL_PARTNER_RUN, aggregate=f"partner-run:{run.pk}", body={"run_id": str(run.pk)})
    return run


def end(run_id: UUID | str, *, note: str = "") -> PartnerRunStatus:
    """What the process calls last: completed, unless calls are left over that nobody will make any more."""
    with transaction.atomic():
        run = PartnerRun.objects.select_for_update().get(pk=run_id)
        if run.status == PartnerRunStatus.RUNNING:
            if run.calls.filter(status=PartnerCallStatus.PENDING).exists():
                _stop(run, note=note or "Its process ended early.")
            else:
                run.status, run.finished_at = PartnerRunStatus.COMPLETED, clock.now()
                run.save(update_fields=["status", "finished_at"])
        return PartnerRunStatus(run.status)


def _stop(run: PartnerRun, *, note: str) -> int:
    """How many calls are not made any more."""
    run.status, run.finished_at, run.note = PartnerRunStatus.CANCELLED, clock.now(), note[:500]
    run.save(update_fields=["status", "finished_at", "note"])
    left = run.calls.filter(status=PartnerCallStatus.PENDING)
    return left.update(status=PartnerCallStatus.CANCELLED, finished_at=run.finished_at)


def _list_calls(run: PartnerRun) -> int:
    subjects, parameters = _subjects(PartnerCode(run.partner))
    with connection.cursor() as cursor:
        cursor.execute(LIST_CALLS.format(subjects=subjects), [run.pk, *parameters])
        return int(cursor.rowcount)


def _subjects(partner: PartnerCode) -> tuple[str, tuple[Any, ...]]:
    """SQL of one column: what the partner is asked about."""
    if partner is PartnerCode.RATES:
        return "SELECT unnest(%s::text[])", ([currency.value for currency in Currency],)
    asked: QuerySet[Any]
    if partner is PartnerCode.CARRIER:
        on_their_way = Shipment.objects.filter(status=ShipmentStatus.BOOKED)
        asked = on_their_way.exclude(tracking_status=TrackingStatus.DELIVERED).order_by("pk").values_list("reference")
    else:
        under_way = Order.objects.exclude(status__in=sorted(TERMINAL_STATUSES)).exclude(ship_to_country="")
        asked = under_way.order_by("ship_to_country").values_list("ship_to_country").distinct()
    return asked.query.sql_with_params()
