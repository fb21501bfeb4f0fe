"""What the engine does with a run: where it stands, the next decision, one step, its failure, the end.

Every function may run any number of times. The rows of the steps are what counts: a process that begins anew, because
it grew too long or an operator reset it, is told what is done already and goes on from there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from django.db import transaction

from orders import clock
from orders.actor import Actor
from orders.errors import (
    DomainError,
    InvalidInput,
    PartnerDown,
    RunPaused,
    StaleAttempt,
    StepFailed,
    StepVoided,
)
from orders.models import PlaybookRun, PlaybookStepRun
from orders.playbooks.definition import (
    ActivityStep,
    AskStep,
    ConditionalStep,
    Definition,
    LoopStep,
    OnFailure,
    WaitStep,
)
from orders.playbooks.expressions import EvaluationFailed
from orders.services.playbooks import actions, places, rows, running
from orders.services.playbooks.publishing import definition_of, known_to
from orders.vocabulary import (
    ENDED_PLAYBOOK_RUNS,
    EventType,
    PlaybookEnding,
    PlaybookRunStatus,
    PlaybookStepStatus,
)

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run follows and how far it is."""

    definition: Definition
    #: "slug@version" -> what it says, for every sub-playbook
    subs: dict[str, Definition]
    #: paths of steps that are closed, those of finished times round a loop left out
    done: list[str]
    #: path of a loop -> times round it that are finished
    rounds: dict[str, int]
    undoing: bool


@dataclass(frozen=True, kw_only=True)
class StepStanding:
    closed: bool
    #: seconds until it must be asked again without any command
    wait_seconds: float = 0.0


def load(run_id: str) -> Plan:
    """Raises `InvalidInput` when the version is not the one that the run began with."""
    run = rows.run_of(run_id)
    if run.version.hash != run.version_hash:
        raise InvalidInput("version", "The version does not say what it said when the run began.")
    known = known_to(run.version.document)
    steps = run.steps.filter(status__in=rows.CLOSED_STEPS)
    rounds = {
        step.path: step.result.get("rounds", 0)
        for step in run.steps.filter(type="loop").exclude(status__in=rows.CLOSED_STEPS)
    }
    over = tuple(f"{path}#{number}." for path, count in rounds.items() for number in range(1, count + 1))
    return Plan(
        definition=definition_of(run.version),
        subs={f"{slug}@{number}": definition for (slug, number), definition in known.items()},
        done=[path for path in steps.values_list("path", flat=True) if not path.startswith(over)]
        if over
        else (list(steps.values_list("path", flat=True))),
        rounds={path: count for path, count in rounds.items() if count},
        undoing=run.status == PlaybookRunStatus.UNDOING or run.status in ENDED_PLAYBOOK_RUNS,
    )


def execute(run_id: str, path: str, *, actor: Actor) -> None:
    """Do an activity step, once. Raises `RunPaused`, `StepVoided`, `StaleAttempt`, or why the attempt failed.

    `StepFailed` means that it has used its attempts; every other error is an attempt that may be followed by another.
    """
    began = time.monotonic()
    token = _claim(run_id, path)
    if token is None:
        return
    run = rows.run_of(run_id)
    place = places.find(run, path)
    step = place.step
    if not isinstance(step, ActivityStep):
        raise InvalidInput("path", f"{path} is no activity.")
    acting = actions.acting_for(run, actor, step.activity)
    try:
        parameters = actions.parameters_of(step, place, run)
        prepared = actions.prepare(step.activity, run, parameters, key=f"{run_id}:{path}", actor=acting)
        with transaction.atomic():
            order, run, row = rows.mine(run_id, path, token)
            result = actions.carry_out(step.activity, order, parameters, prepared, key=f"{run_id}:{path}", actor=acting)
            # The work may have changed the order's row; the history needs what it is now.
            order.refresh_from_db()
            row.parameters, row.result = parameters, result
            rows.close(row, PlaybookStepStatus.DONE)
            rows.settle_pause(run)
            rows.record(
                run, EventType.PLAYBOOK_STEP_DONE, actor, step.title or step.id, path, {"activity": step.activity}
            )
    except StaleAttempt:
        if time.monotonic() - began > step.timeout_seconds:
            rows.count_late(run_id, path, step)
        raise
    except (StepVoided, PartnerDown):
        raise
    except (DomainError, EvaluationFailed) as error:
        raise rows.counted_failure(run_id, path, token, step, error) from error


def decide(run_id: str, path: str, *, actor: Actor) -> bool:
    """The condition of a conditional step, asked once and kept. Raises `RunPaused` or `StepFailed`."""

    def now(place: places.Place, run: PlaybookRun, row: PlaybookStepRun) -> bool:
        if "holds" not in row.result:
            step = place.step
            assert isinstance(step, ConditionalStep)
            row.result = {"holds": places.holds(step.condition, place, run)}
            row.save(update_fields=["result"])
        return bool(row.result["holds"])

    return _asked(run_id, path, now)


def next_round(run_id: str, path: str, number: int, *, actor: Actor) -> bool:
    """Whether a loop goes round for the `number`th time; the times before are finished by that.

    Raises `RunPaused` or `StepFailed`.
    """

    def now(place: places.Place, run: PlaybookRun, row: PlaybookStepRun) -> bool:
        step = place.step
        assert isinstance(step, LoopStep)
        row.result = {"rounds": number - 1}
        row.save(update_fields=["result"])
        inside = places.find(run, f"{path}#{number}.body.0")
        return number <= step.most and places.holds(step.condition, inside, run)

    return _asked(run_id, path, now)


def settle(run_id: str, path: str, *, actor: Actor) -> StepStanding:
    """Where a wait or a question stands; begins it the first time. Raises `RunPaused` or `StepFailed`."""

    def now(place: places.Place, run: PlaybookRun, row: PlaybookStepRun) -> StepStanding:
        if isinstance(place.step, AskStep):
            return _settle_question(place.step, run, row, actor)
        assert isinstance(place.step, WaitStep)
        return _settle_wait(place.step, place, run, row)

    return _asked(run_id, path, now)


def finish(run_id: str, path: str, *, actor: Actor) -> None:
    """A conditional, loop, parallel or sub-playbook step whose inside has ended."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row, _ = rows.row_of(run, path)
        if row.status not in rows.CLOSED_STEPS:
            rows.close(row, PlaybookStepStatus.DONE)


def fail(run_id: str, path: str, message: str, *, actor: Actor) -> OnFailure:
    """What follows from a step that used its attempts; parks the run when a person must decide."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row, place = rows.row_of(run, path)
        how = place.step.on_failure if isinstance(place.step, ActivityStep) else OnFailure.PARK
        if row.status in rows.CLOSED_STEPS:
            # A person skipped it, or it was done after all.
            return OnFailure.CONTINUE
        if row.status == PlaybookStepStatus.FAILED:
            return how
        # No attempt that is still on its way may commit any more.
        row.token += 1
        row.error = message[:500]
        # In a run that is being undone, a failed step is an undo that waits for a person.
        parks = how is OnFailure.PARK and run.status != PlaybookRunStatus.UNDOING
        rows.close(row, PlaybookStepStatus.FAILED if parks else PlaybookStepStatus.GIVEN_UP)
        rows.record(run, EventType.PLAYBOOK_STEP_FAILED, actor, message, path, {"on_failure": how})
        if how is OnFailure.PARK and run.status == PlaybookRunStatus.RUNNING:
            running.move(run, PlaybookRunStatus.PARKED)
        rows.settle_pause(run)
    return how


def decision(run_id: str, path: str) -> PlaybookStepStatus:
    """What a person decided of a failed step: FAILED (nothing yet), RUNNING or UNDOING (again), SKIPPED."""
    return PlaybookStepStatus(rows.run_of(run_id).steps.values_list("status", flat=True).get(path=path))


def stands_still(run_id: str) -> bool:
    """Whether the run is paused; from now on its page says "paused" if nothing is under way."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        rows.settle_pause(run)
    return run.status in rows.STOPPED


def end(run_id: str, ending: PlaybookEnding, *, message: str, actor: Actor) -> PlaybookRunStatus:
    """Close the run and what is open of it. Answers the status that it has now, also when it was closed before.

    Raises `StepVoided` when it was cancelled before it could be completed: then it must be undone.
    """
    with transaction.atomic():
        _, run = running.lock(run_id)
        if run.status in ENDED_PLAYBOOK_RUNS:
            return PlaybookRunStatus(run.status)
        if ending is PlaybookEnding.COMPLETED and run.status == PlaybookRunStatus.UNDOING:
            raise StepVoided("The run was cancelled; what it did is undone.")
        rows.give_up_open(run, failed=True)
        status = {
            PlaybookEnding.COMPLETED: PlaybookRunStatus.COMPLETED,
            PlaybookEnding.CANCELLED: PlaybookRunStatus.CANCELLED,
        }.get(ending, PlaybookRunStatus.FAILED)
        running.move(run, status, message=run.message or message)
        rows.record(run, EventType.PLAYBOOK_ENDED, actor, run.message or "Every step has ended", "", {"ending": ending})
    return status


def _claim(run_id: str, path: str) -> int | None:
    """This attempt's token; None when the step is closed. Raises `RunPaused` or `StepVoided`."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        if run.status == PlaybookRunStatus.UNDOING or run.status in ENDED_PLAYBOOK_RUNS:
            raise StepVoided("The run is being undone; no step of it may begin.")
        row, place = rows.row_of(run, path)
        if row.status in rows.CLOSED_STEPS:
            return None
        if isinstance(place.step, ActivityStep) and row.failures >= place.step.attempts:
            # The last attempt was late, or died before it could say that it was the last.
            raise StepFailed(row.error)
        if run.status in rows.STOPPED:
            _rest(row)
            rows.settle_pause(run)
        else:
            row.token, row.status, row.finished_at = row.token + 1, PlaybookStepStatus.RUNNING, None
            row.save(update_fields=["token", "status", "finished_at"])
    if run.status in rows.STOPPED:
        raise RunPaused
    return int(row.token)


def _rest(row: PlaybookStepRun) -> None:
    """The step has not begun: it waits for the run to be resumed."""
    if row.token == 0 and row.status == PlaybookStepStatus.RUNNING:
        row.status = PlaybookStepStatus.WAITING
        row.save(update_fields=["status"])


def _asked(run_id: str, path: str, question: Callable[[places.Place, PlaybookRun, PlaybookStepRun], T]) -> T:
    """Ask about a step that decides or waits, under the run's lock."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row, place = rows.row_of(run, path)
        # A wait or a question that has begun goes on while the run is paused: its deadline does not move.
        if run.status not in rows.STOPPED or row.deadline_at is not None:
            try:
                return question(place, run, row)
            except EvaluationFailed as error:
                raise StepFailed(str(error)[:500]) from error
        _rest(row)
        rows.settle_pause(run)
    raise RunPaused


def _settle_question(step: AskStep, run: PlaybookRun, row: PlaybookStepRun, actor: Actor) -> StepStanding:
    if row.status in rows.CLOSED_STEPS:
        return StepStanding(closed=True)
    now = clock.now()
    if row.deadline_at is None:
        row.status, row.deadline_at = PlaybookStepStatus.WAITING, now + timedelta(seconds=step.deadline_seconds)
        row.save(update_fields=["status", "deadline_at"])
        data = {"options": list(step.options), "deadline_at": row.deadline_at.isoformat()}
        rows.record(run, EventType.PLAYBOOK_ASKED, actor, step.question, row.path, data)
    if "answer" not in row.result and row.deadline_at <= now:
        row.result = {"answer": step.default, "by": "", "note": "Nobody answered in time; the default counts."}
    if "answer" not in row.result:
        return StepStanding(closed=False, wait_seconds=_left(row.deadline_at, now))
    rows.close(row, PlaybookStepStatus.DONE)
    said = f"{step.question} {row.result['answer']}"
    rows.record(run, EventType.PLAYBOOK_STEP_DONE, actor, said, row.path, {"by": row.result["by"]})
    return StepStanding(closed=True)


def _settle_wait(step: WaitStep, place: places.Place, run: PlaybookRun, row: PlaybookStepRun) -> StepStanding:
    if row.status in rows.CLOSED_STEPS:
        return StepStanding(closed=True)
    now = clock.now()
    if row.deadline_at is None:
        row.status, row.deadline_at = PlaybookStepStatus.WAITING, now + timedelta(seconds=step.seconds)
        row.save(update_fields=["status", "deadline_at"])
    true_now = step.until is not None and places.holds(step.until, place, run)
    if true_now or row.deadline_at <= now:
        row.result = {"came_true": true_now}
        rows.close(row, PlaybookStepStatus.DONE)
        return StepStanding(closed=True)
    left = _left(row.deadline_at, now)
    return StepStanding(closed=False, wait_seconds=min(left, float(step.every_seconds)) if step.until else left)


def _left(deadline: datetime, now: datetime) -> float:
    return max((deadline - now).total_seconds(), 0.5)
