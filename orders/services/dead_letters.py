"""Messages that the engine refuses for good, and those to a process that is not there.

What only wakes or stops a process is *parked*: it never leaves any more, and what is younger in its aggregate does.
That loses nothing, because the command's row is what binds, and the next message makes the process look at all of
them; a cancellation behind a wake-up that Temporal refuses (its limit of signals is reached) must arrive. What *starts*
a process is not given up: nothing younger makes sense before it. It is tried again every minute and leaves once the
cause is mended, such as a search attribute that nobody registered. Other aggregates wait for neither.

Staff hear of both once: a system event, and a task where the message is about an order or a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db import transaction

from orders import history, outbox
from orders.actor import Actor
from orders.models import (
    Batch,
    Command,
    FeedImport,
    Notice,
    Order,
    OrderEvent,
    OutboxMessage,
    PartnerRun,
    PlaybookRun,
    Refund,
    StaffTask,
)
from orders.services import system_events, tasks
from orders.vocabulary import IN_PROCESS_STATUSES, TaskKind, TaskLevel, TaskStatus, Topic

#: messages that may be given up: they wake or stop a process that was started by another one
WAKES = frozenset(
    {
        Topic.TELL_ORDER,
        Topic.CANCEL_ORDER,
        Topic.DRIVE_STEP,
        Topic.DRIVE_SCHEDULE,
        Topic.TELL_FEED_IMPORT,
        Topic.CANCEL_PARTNER_RUN,
        Topic.TELL_PLAYBOOK,
        Topic.CANCEL_PLAYBOOK,
    }
)
#: between two tries of a start that is refused
PAUSE = timedelta(minutes=1)
REFUSED = "Refused: "
WHAT: Mapping[Topic, str] = {
    Topic.START_ORDER: "the start of the order",
    Topic.TELL_ORDER: "the word that a command was given",
    Topic.CANCEL_ORDER: "the cancellation of the order",
    Topic.DRIVE_STEP: "a command for a step",
    Topic.START_FEED_IMPORT: "the start of an import",
    Topic.SEND_REFUND: "the refund",
    Topic.COMMAND_OVER: "the end of a hold or a pause",
    Topic.TELL_PROCESS: "the day-end close",
    Topic.DRIVE_SCHEDULE: "a command for a schedule",
    Topic.SEND_NOTICE: "a mail to the customer",
    Topic.TELL_FEED_IMPORT: "a command for an import",
    Topic.START_PARTNER_RUN: "a run of calls to a partner",
    Topic.CANCEL_PARTNER_RUN: "the cancellation of a run of calls to a partner",
    Topic.RECOVER_ORDER: "the recovery of the order",
    Topic.RUN_BATCH: "the batch",
    Topic.RUN_EXPORT: "an export",
    Topic.START_PLAYBOOK: "the start of a playbook",
    Topic.TELL_PLAYBOOK: "a command for a playbook",
    Topic.CANCEL_PLAYBOOK: "the cancellation of a playbook",
    Topic.FIRE_TRIGGERS: "the playbooks that an event starts",
    Topic.GATEWAY_EVENT: "what the payment gateway told of a payment",
}
#: what the message of a wake-up is about -> whether something must still be running for it
OPEN: Mapping[Topic, Callable[[dict[str, Any]], bool]] = {
    Topic.TELL_ORDER: lambda body: _order_is_open(body),
    Topic.CANCEL_ORDER: lambda body: _order_is_open(body),
    Topic.TELL_FEED_IMPORT: lambda body: FeedImport.objects.filter(pk=body["feed_id"], finished_at=None).exists(),
    Topic.CANCEL_PARTNER_RUN: lambda body: PartnerRun.objects.filter(pk=body["run_id"], finished_at=None).exists(),
    Topic.TELL_PLAYBOOK: lambda body: PlaybookRun.objects.filter(pk=body["run_id"], ended_at=None).exists(),
    Topic.CANCEL_PLAYBOOK: lambda body: PlaybookRun.objects.filter(pk=body["run_id"], ended_at=None).exists(),
}
#: prefix of an aggregate -> the order or batch that its messages are about; the others are about neither
ABOUT: Mapping[str, Callable[[str], Order | Batch | None]] = {
    "order": lambda pk: Order.objects.get(pk=pk),
    "batch": lambda pk: Batch.objects.get(pk=pk),
    "refund": lambda pk: Refund.objects.select_related("order").get(pk=pk).order,
    "notice": lambda pk: Notice.objects.select_related("order").get(pk=pk).order,
    "playbook-run": lambda pk: PlaybookRun.objects.select_related("order").get(pk=pk).order,
    "order-event": lambda pk: OrderEvent.objects.select_related("order").get(pk=pk).order,
    "ending": lambda pk: Command.objects.select_related("order").get(pk=pk).order,
}


def refuse(message: outbox.Message, why: str, *, actor: Actor) -> None:
    """Temporal, or our own code, will take the message at no time: park it, or try a start again later; tell staff."""
    with transaction.atomic():
        about = _locked(_about(message))
        if message.topic in WAKES:
            told = "It is given up; what it tells of is recorded and binds. See whether the process goes on."
            is_new = outbox.park(message, f"{REFUSED}{why}")
        else:
            told = "It is tried again every minute, and what follows waits behind it: mend the cause."
            before = OutboxMessage.objects.filter(pk=message.id, last_error__startswith=REFUSED)
            is_new = not before.exists()
            outbox.postpone(message, f"{REFUSED}{why}", delay=PAUSE)
        if is_new:
            _tell_staff(message, about, f"{_begin(message, about)}: {why}. {told}", "MessageRefused", actor=actor)


def missed(message: outbox.Message, *, actor: Actor) -> bool:
    """Temporal has no such process; answers whether that is wrong, because its row is open.

    One that has ended needs no message. Of an order the sweep asks at once and does what it does for
    every process that is gone.
    """
    if not OPEN[message.topic](message.body):
        outbox.mark_delivered(message.id)
        return False
    why = "Temporal has no running process for it, and it has not ended"
    with transaction.atomic():
        about = _locked(_about(message))
        if outbox.park(message, f"{why}.") and message.topic not in {Topic.TELL_ORDER, Topic.CANCEL_ORDER}:
            says = f"{_begin(message, about)}: {why}. What it tells of is recorded; the process must be started again."
            _tell_staff(message, about, says, "ProcessNotThere", actor=actor)
    return True


def accepted(message: outbox.Message, *, actor: Actor) -> None:
    """Mark it; whoever was told that it is refused need do nothing any more."""
    if (
        message.attempts == 1
        or not OutboxMessage.objects.filter(pk=message.id, last_error__startswith=REFUSED).exists()
    ):
        outbox.mark_delivered(message.id)
        return
    with transaction.atomic():
        about = _locked(_about(message))
        outbox.mark_delivered(message.id)
        if about is not None and _task(message, about) is not None:
            tasks.close_if_open(TaskKind.DRIFT, about, resolution="Temporal has taken it.", actor=actor)


def _about(message: outbox.Message) -> Order | Batch | None:
    prefix, _, key = message.aggregate.partition(":")
    try:
        return ABOUT[prefix](key) if prefix in ABOUT else None
    except (ObjectDoesNotExist, ValidationError, ValueError):
        return None


def _locked(about: Order | Batch | None) -> Order | Batch | None:
    if isinstance(about, Order):
        return history.lock_order(about.pk)
    return Batch.objects.select_for_update().get(pk=about.pk) if about is not None else None


def _begin(message: outbox.Message, about: Order | Batch | None) -> str:
    """How its task begins, by which it is known from other tasks of that kind."""
    name = about.number if isinstance(about, Order) else message.aggregate
    return f"{name}: Temporal does not take {WHAT[message.topic]}"


def _tell_staff(
    message: outbox.Message, about: Order | Batch | None, says: str, error_type: str, *, actor: Actor
) -> None:
    system_events.remember(
        error_type,
        says,
        workflow_id=message.aggregate,
        activity=message.topic,
        attempt=message.attempts,
        order_id=str(about.pk) if isinstance(about, Order) else None,
    )
    if about is not None:
        cause = f"Temporal does not take {WHAT[message.topic]}: {says.partition(': ')[2].partition(': ')[2]}"
        tasks.open_task(TaskKind.DRIFT, about, level=TaskLevel.LEAD, says=says, actor=actor, cause=cause)


def _task(message: outbox.Message, about: Order | Batch) -> StaffTask | None:
    mine = about.tasks.filter(kind=TaskKind.DRIFT, says__startswith=_begin(message, about))
    return mine.exclude(status=TaskStatus.DONE).first()


def _order_is_open(body: dict[str, Any]) -> bool:
    return Order.objects.filter(pk=body["order_id"], status__in=IN_PROCESS_STATUSES).exists()
