"""Tasks for staff: opened by whatever cannot go on alone, taken by a person, done with a note.

One task of a kind is open for an order, a batch, or what else it is about, however often its cause occurs. What
resolving a kind does besides is in `orders.services.resolving`.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import NotPermitted, WrongState
from orders.models import Batch, Order, StaffTask
from orders.services import incidents
from orders.vocabulary import EventType, TaskKind, TaskLevel, TaskStatus

#: what a task is about; a word where it is neither an order nor a batch
About = Order | Batch | str


def open_task(
    kind: TaskKind,
    about: About,
    *,
    level: TaskLevel,
    says: str,
    actor: Actor,
    owner_id: int | None = None,
    cause: str = "",
) -> StaffTask:
    """The open task of that kind, made when there is none. The caller holds the lock of what it is about.

    `owner_id` is the person who should take it, where one is known. Tasks of one kind and `cause` are one incident for
    staff.
    """
    standing = _open(kind, about)
    if standing is not None:
        return standing
    task = StaffTask(kind=kind, level=level, says=says[:500], opened_by=actor.name, owner_id=owner_id, **_key(about))
    if cause:
        task.incident = incidents.of_cause(kind, cause)
    try:
        with transaction.atomic():
            task.save(force_insert=True)
    except IntegrityError:
        # What is neither an order nor a batch has no row whose lock would keep two workers apart.
        if not isinstance(about, str) or (first := _open(kind, about)) is None:
            raise
        return first
    _tell(task, about, EventType.TASK_OPENED, actor, says)
    incidents.touched(task.incident_id)
    return task


def open_or_extend(kind: TaskKind, about: About, *, level: TaskLevel, says: str, actor: Actor) -> StaffTask:
    """The same, and what it says is added to the task that is open. The caller holds the lock of what it is about."""
    standing = _open(kind, about)
    if standing is None:
        return open_task(kind, about, level=level, says=says, actor=actor)
    standing.says = f"{standing.says} {says}"[:500]
    standing.save(update_fields=["says"])
    return standing


def acknowledge(task_id: UUID | str, *, actor: Actor) -> StaffTask:
    """Become the task's owner. Raises `StaffTask.DoesNotExist`, `NotPermitted`, or `WrongState` naming who has it."""
    actor.require("orders.work_task")
    with transaction.atomic():
        about, task = lock_for(task_id, actor=actor)
        if actor.user is None or actor.user.pk is None:
            raise NotPermitted("A task is a person's: sign in.", permission="orders.work_task")
        if task.status == TaskStatus.ACKNOWLEDGED:
            raise WrongState(f"{task.owner} has this task since {_when(task.acknowledged_at)}.")
        task.status, task.owner_id, task.acknowledged_at = TaskStatus.ACKNOWLEDGED, actor.user.pk, clock.now()
        task.save(update_fields=["status", "owner", "acknowledged_at"])
        _tell(task, about, EventType.TASK_ACKNOWLEDGED, actor, f"{actor.name} takes care of it")
    return task


def lock_for(task_id: UUID | str, *, actor: Actor) -> tuple[About, StaffTask]:
    """What the task is about and the task, locked in this order, for `actor` to change.

    Raises `StaffTask.DoesNotExist`, `NotPermitted`, or `WrongState` naming who did it and when.
    """
    order_id, batch_id, subject = StaffTask.objects.values_list("order_id", "batch_id", "subject").get(pk=task_id)
    about: About = subject
    if order_id:
        about = history.lock_order(order_id)
    elif batch_id:
        about = Batch.objects.select_for_update(of=("self",)).get(pk=batch_id)
    task = StaffTask.objects.select_for_update(of=("self",)).select_related("owner").get(pk=task_id)
    if task.level == TaskLevel.LEAD:
        actor.require("orders.work_lead_task")
    if task.status == TaskStatus.DONE:
        raise WrongState(f"This was done by {task.done_by} at {_when(task.done_at)}: {task.resolution}")
    return about, task


def close(task: StaffTask, about: About, *, resolution: str, reference: str = "", actor: Actor) -> None:
    """Say what was done about it. The caller holds the locks and has asked for the permission."""
    task.status, task.done_at, task.done_by = TaskStatus.DONE, clock.now(), actor.name
    task.resolution, task.reference = resolution[:500], reference[:128]
    if task.owner_id is None and actor.user is not None:
        task.owner_id = actor.user.pk
    task.save(update_fields=["status", "done_at", "done_by", "resolution", "reference", "owner"])
    _tell(task, about, EventType.TASK_DONE, actor, with_reference(resolution, reference))
    incidents.touched(task.incident_id)


def with_reference(said: str, reference: str) -> str:
    """What an event says of a settlement: as its reason, which is encrypted, and not as data, which are not."""
    return f"{said[:350]} (reference {reference[:128]})" if reference else said


def close_if_open(kind: TaskKind, about: About, *, resolution: str, actor: Actor) -> None:
    """Nothing is left to do. The caller holds the lock of what it is about, which every change of a task takes."""
    task = _open(kind, about)
    if task is not None:
        close(task, about, resolution=resolution, actor=actor)


def _open(kind: TaskKind, about: About) -> StaffTask | None:
    return StaffTask.objects.filter(kind=kind, **_key(about)).exclude(status=TaskStatus.DONE).first()


def _key(about: About) -> dict[str, Any]:
    if isinstance(about, str):
        return {"subject": about}
    return {"order" if isinstance(about, Order) else "batch": about}


def _tell(task: StaffTask, about: About, event: EventType, actor: Actor, reason: str) -> None:
    """In the history of the order. Nothing else has one: the task is the record."""
    if not isinstance(about, Order):
        return
    data = {"task": str(task.pk), "kind": task.kind, "level": task.level}
    history.record(about, event, actor=actor, reason=reason, data=data)


def _when(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
