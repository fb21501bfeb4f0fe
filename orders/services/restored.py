"""What becomes of what a restored database does not have: the partners are asked what they have, and a lead decides.

Nothing here tells Temporal at once: what a decision starts waits in the outbox with everything else, until the lead
resolves the task about the database (`orders.services.sweeping.restoring`).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from orders import clock, fence, history, outbox
from orders.actor import Actor
from orders.errors import DomainError, InvalidInput, PartnerUnavailable, WrongState
from orders.models import Command, Order, Payment, RestoreDifference
from orders.partners import carrier
from orders.partners import payments as gateway
from orders.services import placing, recovering, reviving
from orders.services.sweeping import restoring
from orders.vocabulary import (
    RESTORE_DECISIONS,
    Channel,
    CommandKind,
    EventType,
    OrderStatus,
    RestoreDecision,
    RestoreKind,
    ShipmentStatus,
    StepName,
    Topic,
)

#: orders that one sweep asks the partners about
ASKED_AT_ONCE = 20
#: an order was placed before its process began
PLACED_BEFORE = timedelta(days=1)
#: decided in one call
MOST = 500
UNKNOWN = "unknown"
OF_ORDERS = (RestoreKind.ORDER_BEHIND, RestoreKind.ORDER_UNKNOWN)


@dataclass(frozen=True, kw_only=True)
class Decided:
    done: int
    #: what was refused -> why
    refused: dict[str, str]
    left: int


def ask_partners() -> None:
    """Ask gateway and carrier what they have of the orders that differ; who does not answer is asked again."""
    since = restoring.lost_since()
    if not since:
        return
    for found in RestoreDifference.objects.filter(kind__in=OF_ORDERS, decision="", asked_at=None)[:ASKED_AT_ONCE]:
        row = Order.objects.filter(pk=found.reference).first()
        try:
            made = gateway.find_for_order(
                found.reference, since=row.created_at if row else datetime.fromisoformat(since) - PLACED_BEFORE
            )
            parcel = carrier.find(fence.step_key(found.reference, StepName.SHIP))
        except (PartnerUnavailable, DomainError):
            return
        # The one that took money; else one that still may.
        paid = sorted(made, key=lambda intent: intent.taken_minor, reverse=True)
        if paid:
            found.payment_reference, found.taken_minor = paid[0].id, paid[0].taken_minor
            found.amount_minor, found.currency = paid[0].amount_minor, paid[0].currency.upper()
        found.has_parcel = parcel is not None and parcel.status != ShipmentStatus.CANCELLED
        found.asked_at = clock.now()
        found.save(
            update_fields=["payment_reference", "amount_minor", "taken_minor", "currency", "has_parcel", "asked_at"]
        )


def decide(decision: RestoreDecision, *, note: str, actor: Actor, names: Collection[str] = ()) -> Decided:
    """Decide about everything that differs and for which the decision fits, or about `names`; each for itself.

    Raises `NotPermitted`, `InvalidInput`, or `WrongState` when there is nothing to decide in this way.
    """
    actor.require("orders.decide_restore")
    note = note.strip()
    if not 1 <= len(note) <= 500:
        raise InvalidInput("note", "A note of 1 to 500 characters is needed: what was decided and why?")
    fitting = [kind for kind, offered in RESTORE_DECISIONS.items() if decision in offered]
    open_ones = RestoreDifference.objects.filter(decision="", kind__in=fitting)
    if names:
        unknown = sorted(set(names) - set(open_ones.filter(name__in=names).values_list("name", flat=True)))
        if unknown:
            raise InvalidInput("names", f"It does not differ, or cannot be decided so: {', '.join(unknown)[:200]}.")
        open_ones = open_ones.filter(name__in=names)
    found = list(open_ones.order_by("found_at", "id")[: MOST + 1])
    if not found:
        raise WrongState("Nothing of what differs can be decided in this way.")
    refused: dict[str, str] = {}
    for one in found[:MOST]:
        try:
            with transaction.atomic():
                _decide(one, decision, note=note, actor=actor)
        except DomainError as error:
            refused[one.name] = str(error)
    restoring.say_again()
    return Decided(done=len(found[:MOST]) - len(refused), refused=refused, left=max(0, len(found) - MOST))


def require_decided() -> None:
    """Raise `WrongState` while the list is not complete, or money or a parcel without a row is not decided about."""
    if not restoring.is_compared():
        raise WrongState("The sweep is still comparing the database with Temporal; look again in a minute.")
    left = RestoreDifference.objects.filter(kind=RestoreKind.ORDER_UNKNOWN, decision="")
    unasked = left.filter(asked_at=None).count()
    if unasked:
        raise WrongState(f"The partners have not answered yet about {unasked} orders without a row; look again soon.")
    known = left.filter(has_parcel=True) | left.exclude(payment_reference="")
    if names := list(known.values_list("name", flat=True)[:10]):
        raise WrongState(f"Decide first about the orders without a row: {', '.join(names)[:200]}.")


def _decide(found: RestoreDifference, decision: RestoreDecision, *, note: str, actor: Actor) -> None:
    if found.kind in OF_ORDERS and found.asked_at is None:
        raise WrongState("The partners have not answered yet what they have of it.")
    if decision is RestoreDecision.UNDO:
        _undo(found, note=note, actor=actor)
    elif decision is RestoreDecision.FINISH:
        _finish(found, note=note, actor=actor)
    elif decision is RestoreDecision.AGAIN:
        kind, key = reviving.of_reference(found.reference)
        row = kind.find(key)
        if row is None:
            raise WrongState("It has ended meanwhile.")
        reviving.hand_over(kind, key, row, again=True)
    changed = RestoreDifference.objects.filter(pk=found.pk, decision="").update(
        decision=decision, decided_at=clock.now(), decided_by=actor.name, note=note
    )
    if not changed:
        raise WrongState("Somebody has decided about it meanwhile.")


def _undo(found: RestoreDifference, *, note: str, actor: Actor) -> None:
    if found.kind == RestoreKind.ORDER_UNKNOWN and not found.payment_reference:
        raise WrongState("The gateway has no payment of it: there is nothing to give back. Keep it as it is.")
    order = _order(found, note=note, actor=actor)
    _remember_payment(order, found)
    recovering.begin(order, why=f"The database was restored; {actor.name} had it undone: {note}", actor=actor)


def _finish(found: RestoreDifference, *, note: str, actor: Actor) -> None:
    # As if an attempt had been made: the next one asks the carrier first. Before the order, as attempts lock them.
    fence.claim(found.reference, StepName.SHIP)
    order = _order(found, note=note, actor=actor)
    _remember_payment(order, found)
    before, order.process_run_id = order.process_run_id, ""
    history.record(
        order,
        EventType.RESTORE_DECIDED,
        actor=actor,
        reason=f"The process goes through its steps again: {note}",
        data={"ended_run": before},
        save=("process_run_id",),
    )
    command = order.commands.get(kind=CommandKind.START)
    body = {**placing.start_message(order, command), reviving.AGAIN: True}
    outbox.publish(Topic.START_ORDER, aggregate=f"order:{order.pk}", body=body)


def _order(found: RestoreDifference, *, note: str, actor: Actor) -> Order:
    """The order, locked and started; a row without lines where there is none. Raises `WrongState` when it has ended."""
    order = Order.objects.select_for_update(no_key=True).filter(pk=found.reference).first() or _without_lines(
        found, note=note, actor=actor
    )
    if order.is_terminal:
        raise WrongState(f"The order is {order.status} by now.")
    if order.status == OrderStatus.PLACED:
        command: Command = placing.start_command(order, actor=actor, reason=note)
        command.save(force_insert=True)
        order.move_to(OrderStatus.QUEUED)
        history.record(
            order,
            EventType.START_REQUESTED,
            actor=actor,
            reason=f"Its process was at Temporal before the database was restored: {note}",
            status_before=OrderStatus.PLACED,
            data={"command": str(command.id)},
        )
    return order


def _without_lines(found: RestoreDifference, *, note: str, actor: Actor) -> Order:
    """A row for what the partners have of an order that the database has forgotten: its money can be booked on it."""
    order = Order(
        pk=UUID(found.reference),
        number=found.name,
        source="restored",
        channel=Channel.ENGINE,
        currency=found.currency,
        total_minor=found.amount_minor,
        line_count=0,
        payment_method=UNKNOWN,
        ship_to_country=UNKNOWN,
    )
    order.save(force_insert=True)
    history.record(
        order,
        EventType.RESTORE_DECIDED,
        actor=actor,
        reason=f"The database had forgotten this order; Temporal and the partners had not: {note}",
        data={"payment": found.payment_reference, "parcel": found.has_parcel},
    )
    return order


def _remember_payment(order: Order, found: RestoreDifference) -> None:
    """The payment that the gateway has: without the row, the undo would hold that nothing was ever charged."""
    if not found.payment_reference:
        return
    payment, made = Payment.objects.get_or_create(
        order=order,
        defaults={
            "amount_minor": order.total_minor,
            "currency": order.currency,
            "payment_method": order.payment_method,
            "gateway_reference": found.payment_reference,
        },
    )
    if not made and not payment.gateway_reference:
        payment.gateway_reference = found.payment_reference
        payment.save(update_fields=["gateway_reference", "updated_at"])
