"""Starting playbooks and driving their runs: what people do. The engine's part is `following`.

A command binds from the moment its row is committed: every step asks for the run's status after its claim and before
its effect. The message to the process only saves it from waiting.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import transaction

from orders import clock, history, outbox
from orders.access import RULES
from orders.actor import Actor
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Order, PlaybookRun, PlaybookStepRun, PlaybookVersion
from orders.playbooks.definition import AskStep
from orders.playbooks.validation import given_inputs
from orders.services import commands
from orders.services.playbooks import places
from orders.services.playbooks.publishing import definition_of, entries_of, newest_published
from orders.vocabulary import (
    ENDED_PLAYBOOK_RUNS,
    CommandKind,
    EventType,
    PlaybookRunStatus,
    PlaybookStepStatus,
    RunTrigger,
    Topic,
    VersionStatus,
)


@dataclass(frozen=True, kw_only=True)
class Runnable:
    """A published version with its inputs, defaults filled in, and whom its run acts for."""

    version: PlaybookVersion
    inputs: dict[str, Any]
    user_id: int


def start(
    order_number: str,
    slug: str,
    *,
    actor: Actor,
    reason: str,
    inputs: Mapping[str, Any] | None = None,
    version: int | None = None,
    trigger: RunTrigger = RunTrigger.HAND,
    cause: str = "",
) -> PlaybookRun:
    """Run a published version (the newest, unless one is named) on the order, for `actor`.

    With a `cause` that started a run before, answers that run. Raises `NotPermitted`, `Order.DoesNotExist`,
    `InvalidInput` for the playbook or its version, `InvalidPlaybook` for the inputs, or `WrongState` naming who was
    first when it runs on the order already.
    """
    may = runnable(slug, version, inputs or {}, actor=actor)
    chosen = may.version
    with transaction.atomic():
        order = Order.objects.select_for_update(no_key=True).get(number=order_number)
        if cause and (before := PlaybookRun.objects.filter(cause=cause).first()) is not None:
            return before
        standing = (
            PlaybookRun.objects.filter(order=order, version=chosen).exclude(status__in=ENDED_PLAYBOOK_RUNS).first()
        )
        if standing is not None:
            raise WrongState(
                f"{chosen} runs on order {order.number} already, started by {standing.started_by} at "
                f"{standing.created_at:%Y-%m-%d %H:%M:%S} UTC."
            )
        run = PlaybookRun.objects.create(
            version=chosen,
            version_hash=chosen.hash,
            order=order,
            inputs=may.inputs,
            trigger=trigger,
            cause=cause,
            started_by_id=may.user_id,
            channel=actor.channel,
            reason=reason[:500],
        )
        commands.record(CommandKind.PLAYBOOK_START, order, actor=actor, reason=reason, done=f"{chosen} was started.")
        _tell(run, EventType.PLAYBOOK_STARTED, actor, reason, {"playbook": slug, "version": chosen.number})
        publish(run, Topic.START_PLAYBOOK)
    return run


def runnable(slug: str, version: int | None, inputs: Mapping[str, Any], *, actor: Actor) -> Runnable:
    """What `actor` may run, before the order is looked at. Raises as `start` does."""
    actor.require("orders.run_playbook")
    if actor.user is None or actor.user.pk is None:
        raise NotPermitted("A playbook acts for a person: sign in.", permission="orders.run_playbook")
    chosen = _published(slug, version)
    definition = definition_of(chosen)
    for entry in entries_of(definition):
        actor.require(entry.permission)
    return Runnable(version=chosen, inputs=given_inputs(definition.inputs, inputs), user_id=actor.user.pk)


def pause(run_id: UUID | str, *, actor: Actor, reason: str) -> PlaybookRun:
    """Begin no further step; one that is under way ends first. Raises as `resume` does."""
    with _open_run(run_id, CommandKind.PLAYBOOK_PAUSE, actor, reason, "It begins no further step.") as run:
        if run.status in {PlaybookRunStatus.PAUSING, PlaybookRunStatus.PAUSED}:
            raise WrongState(f"{run.version} is {run.status} since {_when(run.status_since)}.")
        _require(run, PlaybookRunStatus.RUNNING, PlaybookRunStatus.PARKED)
        under_way = run.steps.filter(status=PlaybookStepStatus.RUNNING, type="activity").exists()
        move(run, PlaybookRunStatus.PAUSING if under_way else PlaybookRunStatus.PAUSED)
    return run


def resume(run_id: UUID | str, *, actor: Actor, reason: str) -> PlaybookRun:
    """Go on where the run stopped. Raises `PlaybookRun.DoesNotExist`, `NotPermitted` or `WrongState`."""
    with _open_run(run_id, CommandKind.PLAYBOOK_RESUME, actor, reason, "It goes on.") as run:
        _require(run, PlaybookRunStatus.PAUSING, PlaybookRunStatus.PAUSED)
        move(run, status_of_open(run))
    return run


def cancel(run_id: UUID | str, *, actor: Actor, reason: str) -> PlaybookRun:
    """End the run and undo, in reverse, what it did and can take back; works while it is paused or parked."""
    with _open_run(
        run_id, CommandKind.PLAYBOOK_CANCEL, actor, reason, "What it did is undone.", topic=Topic.CANCEL_PLAYBOOK
    ) as run:
        if run.status == PlaybookRunStatus.UNDOING:
            raise WrongState(f"{run.version} is being undone since {_when(run.status_since)}.")
        # Nobody may retry them any more: what has failed in a run that is being undone is an undo.
        run.steps.filter(status=PlaybookStepStatus.FAILED).update(status=PlaybookStepStatus.GIVEN_UP)
        move(run, PlaybookRunStatus.UNDOING, message=f"Cancelled by {actor.name}: {reason}")
    return run


def retry(run_id: UUID | str, path: str, *, actor: Actor, reason: str) -> PlaybookRun:
    """Try the failed step again, with all its attempts. Raises as `resume` does, and when the step has not failed."""
    with _open_run(run_id, CommandKind.PLAYBOOK_RETRY, actor, reason, f"{path} is tried again.") as run:
        step = _failed(run, path)
        undoing = run.status == PlaybookRunStatus.UNDOING
        step.status = PlaybookStepStatus.UNDOING if undoing else PlaybookStepStatus.RUNNING
        step.failures, step.decided_by = 0, actor.name
        step.save(update_fields=["status", "failures", "decided_by"])
        _unpark(run)
    return run


def skip(run_id: UUID | str, path: str, *, actor: Actor, reason: str) -> PlaybookRun:
    """Leave the failed step out, for the reason given; its results stay empty. Raises as `retry` does."""
    if not reason.strip():
        raise InvalidInput("reason", "Say why the step is left out; it is kept in the history.")
    with _open_run(run_id, CommandKind.PLAYBOOK_SKIP, actor, reason, f"{path} is left out.") as run:
        step = _failed(run, path)
        step.status, step.decided_by, step.finished_at = PlaybookStepStatus.SKIPPED, actor.name, clock.now()
        step.save(update_fields=["status", "decided_by", "finished_at"])
        _unpark(run)
    return run


def answer(run_id: UUID | str, path: str, *, option: str, actor: Actor, reason: str = "") -> PlaybookRun:
    """Answer the run's question. Raises `InvalidInput`, or `WrongState` naming who answered before and when."""
    with _open_run(
        run_id,
        CommandKind.PLAYBOOK_ANSWER,
        actor,
        reason or option,
        f"{path}: {option}.",
    ) as run:
        step = run.steps.select_for_update().filter(path=path, type="ask").first()
        if step is None:
            raise WrongState(f"{run.version} asks nothing at {path}.")
        if step.status != PlaybookStepStatus.WAITING:
            given, by = step.result.get("answer", "nothing"), step.decided_by or "nobody"
            raise WrongState(f"This was answered with {given} by {by} at {_when(step.finished_at)}.")
        asked = places.find(run, path).step
        if not isinstance(asked, AskStep) or option not in asked.options:
            options = ", ".join(asked.options) if isinstance(asked, AskStep) else ""
            raise InvalidInput("option", f"{option} is none of {options}.")
        step.result = {"answer": option, "by": actor.name, "note": reason[:500]}
        step.decided_by = actor.name
        step.save(update_fields=["result", "decided_by"])
    return run


def move(run: PlaybookRun, status: PlaybookRunStatus, *, message: str = "") -> None:
    """Save the run's status. The caller holds its lock and writes the history."""
    run.status, run.status_since = status, clock.now()
    if message:
        run.message = message[:500]
    if status in ENDED_PLAYBOOK_RUNS:
        run.ended_at = run.status_since
    run.save(update_fields=["status", "status_since", "message", "ended_at"])


def status_of_open(run: PlaybookRun) -> PlaybookRunStatus:
    """What a run is that is neither paused nor undone: parked while a failed step waits for a person."""
    parked = run.steps.filter(status=PlaybookStepStatus.FAILED).exists()
    return PlaybookRunStatus.PARKED if parked else PlaybookRunStatus.RUNNING


def publish(run: PlaybookRun, topic: Topic) -> None:
    outbox.publish(topic, aggregate=f"playbook-run:{run.pk}", body={"run_id": str(run.pk)})


def lock(run_id: UUID | str) -> tuple[Order, PlaybookRun]:
    """The order and the run, locked in this order. Raises `PlaybookRun.DoesNotExist`."""
    order = history.lock_order(PlaybookRun.objects.values_list("order_id", flat=True).get(pk=run_id))
    run = PlaybookRun.objects.select_for_update(of=("self",)).select_related("version__playbook").get(pk=run_id)
    run.order = order
    return order, run


@contextmanager
def _open_run(
    run_id: UUID | str,
    kind: CommandKind,
    actor: Actor,
    reason: str,
    outcome: str,
    *,
    topic: Topic = Topic.TELL_PLAYBOOK,
) -> Iterator[PlaybookRun]:
    """The locked run, for one command; what the block decided is recorded and told when it did not raise."""
    actor.require(RULES[kind].permission)
    with transaction.atomic():
        order, run = lock(run_id)
        if run.status in ENDED_PLAYBOOK_RUNS:
            raise WrongState(f"{run.version} is {run.status} since {_when(run.ended_at)}.")
        yield run
        commands.record(kind, order, actor=actor, reason=reason, done=f"{run.version}: {outcome}")
        _tell(run, EventType.PLAYBOOK_TOLD, actor, reason, {"kind": kind, "outcome": outcome})
        publish(run, topic)


def _published(slug: str, number: int | None) -> PlaybookVersion:
    if number is None:
        found = newest_published(slug)
        if found is None:
            raise InvalidInput("playbook", f"There is no published playbook {slug}.")
        return found
    versions = PlaybookVersion.objects.select_related("playbook").filter(playbook__slug=slug, number=number)
    version = versions.first()
    if version is None or version.status != VersionStatus.PUBLISHED:
        raise InvalidInput("version", f"There is no published version {number} of {slug}.")
    return version


def _require(run: PlaybookRun, *statuses: PlaybookRunStatus) -> None:
    if run.status not in statuses:
        raise WrongState(f"{run.version} is {run.status} since {_when(run.status_since)}.")


def _failed(run: PlaybookRun, path: str) -> PlaybookStepRun:
    step = run.steps.select_for_update().filter(path=path).first()
    if step is None:
        raise WrongState(f"{run.version} has run no step {path}.")
    if step.status != PlaybookStepStatus.FAILED:
        by = f", decided by {step.decided_by}" if step.decided_by else ""
        raise WrongState(f"{path} is {step.status}{by}; only a step that has failed is retried or skipped.")
    return step


def _unpark(run: PlaybookRun) -> None:
    if run.status == PlaybookRunStatus.PARKED:
        move(run, status_of_open(run))


def _tell(run: PlaybookRun, event: EventType, actor: Actor, reason: str, data: dict[str, Any]) -> None:
    history.record(
        run.order, event, actor=actor, reason=reason or str(run.version), data={"playbook_run": str(run.pk), **data}
    )


def _when(moment: object) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""
