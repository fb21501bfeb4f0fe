"""A person's word that a task is done, with what follows from it for the kind of task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from django.db import transaction

from orders.actor import Actor
from orders.errors import InvalidInput
from orders.models import StaffTask
from orders.services import outcomes, recovering, refunding, tasks
from orders.vocabulary import TaskKind

#: kind -> what resolving it does, given the task, its locked order, note, reference and actor
WORK: Mapping[TaskKind, Callable[..., None]] = {
    TaskKind.REFUND_OWED: refunding.settle_by_hand,
    TaskKind.OUTCOME_UNKNOWN: outcomes.settle_by_hand,
    TaskKind.PARCEL_LEFT: outcomes.settle_by_hand,
    TaskKind.PROCESS_ENDED: recovering.by_hand,
}


def resolve(task_id: UUID | str, *, note: str, reference: str = "", actor: Actor) -> StaffTask:
    """Close the task. Raises `StaffTask.DoesNotExist`, `NotPermitted`, `InvalidInput`, or `WrongState` when it is done.

    The note says what was done, the reference where it can be looked up.
    """
    actor.require("orders.work_task")
    note, reference = note.strip(), reference.strip()
    if not 1 <= len(note) <= 500:
        raise InvalidInput("note", "A note of 1 to 500 characters is needed: what was done?")
    if len(reference) > 128:
        raise InvalidInput("reference", "A reference has at most 128 characters.")
    with transaction.atomic():
        about, task = tasks.lock_for(task_id, actor=actor)
        work = WORK.get(TaskKind(task.kind))
        if work is not None:
            work(task, about, note=note, reference=reference, actor=actor)
        tasks.close(task, about, resolution=note, reference=reference, actor=actor)
    return task
