"""A person's word that a task is done, with what follows from it for the kind of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from django.db import transaction

from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Order, StaffTask
from orders.services import outcomes, owing, parking, recovering, refund_outcomes, restored, reviving, tasks
from orders.vocabulary import RecoveryDecision, TaskKind

#: kind -> what resolving it does, given the task, what it is about (locked), note, reference and actor
WORK: Mapping[TaskKind, Callable[..., None]] = {
    TaskKind.REFUND_OWED: refund_outcomes.settle_by_hand,
    TaskKind.OUTCOME_UNKNOWN: outcomes.settle_by_hand,
    TaskKind.PARCEL_LEFT: outcomes.settle_by_hand,
    TaskKind.PROCESS_ENDED: recovering.by_hand,
    TaskKind.REQUEST_REFUSED: parking.resolve,
    TaskKind.RUN: reviving.by_hand,
    TaskKind.RESTORED: lambda *_, **__: restored.require_decided(),
}


def resolve(
    task_id: UUID | str, *, note: str, reference: str = "", decision: RecoveryDecision | str = "", actor: Actor
) -> StaffTask:
    """Close the task. Raises `StaffTask.DoesNotExist`, `NotPermitted`, `InvalidInput`, or `WrongState` when it is done.

    The note says what was done, the reference where it can be looked up. The decision is for an order whose process is
    gone: undo it, or finish it.
    """
    actor.require("orders.work_task")
    note, reference = note.strip(), reference.strip()
    if not 1 <= len(note) <= 500:
        raise InvalidInput("note", "A note of 1 to 500 characters is needed: what was done?")
    if len(reference) > 128:
        raise InvalidInput("reference", "A reference has at most 128 characters.")
    with transaction.atomic():
        about, task = tasks.lock_for(task_id, actor=actor)
        if task.kind == TaskKind.INCIDENT:
            raise WrongState("It closes by itself when the last has gone on. Decide for all of them at the incident.")
        work = WORK.get(TaskKind(task.kind))
        if decision and task.kind != TaskKind.PROCESS_ENDED:
            raise InvalidInput("decision", "Only a task about an order without a process asks for one.")
        if work is not None:
            more = {"decision": RecoveryDecision(decision)} if decision else {}
            work(task, about, note=note, reference=reference, actor=actor, **more)
        tasks.close(task, about, resolution=note, reference=reference, actor=actor)
        if task.kind == TaskKind.REFUND_OWED and isinstance(about, Order):
            owing.ask_for_owed(about, actor=actor)
    return task
