"""The rows of a run's steps: how an attempt claims one, commits it, counts a failure, and tells the order's history.

Every function is called under the run's lock, or takes it.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from orders import clock, history
from orders.actor import Actor
from orders.errors import (
    DomainError,
    InvalidInput,
    NotPermitted,
    RequestRefused,
    RunPaused,
    StaleAttempt,
    StepFailed,
    StepVoided,
)
from orders.models import PlaybookRun, PlaybookStepRun
from orders.playbooks.definition import ActivityStep
from orders.playbooks.expressions import EvaluationFailed
from orders.services.playbooks import places, running
from orders.vocabulary import EventType, PlaybookRunStatus, PlaybookStepStatus

#: nothing more happens to a step in one of these
CLOSED_STEPS = frozenset(
    {
        PlaybookStepStatus.DONE,
        PlaybookStepStatus.SKIPPED,
        PlaybookStepStatus.GIVEN_UP,
        PlaybookStepStatus.UNDONE,
        PlaybookStepStatus.UNDOING,
    }
)
#: what no further attempt of a step can change
FINAL = (StepFailed, StepVoided, RunPaused)
#: what a further attempt would meet again
NO_SECOND_TRY = (InvalidInput, NotPermitted, RequestRefused, EvaluationFailed)
STOPPED = frozenset({PlaybookRunStatus.PAUSING, PlaybookRunStatus.PAUSED})


def mine(run_id: str, path: str, token: int, *, undoing: bool = False) -> Any:
    """The locked order, run and row, if this attempt's claim still stands."""
    order, run = running.lock(run_id)
    row = run.steps.select_for_update().get(path=path)
    wanted = PlaybookStepStatus.UNDOING if undoing else PlaybookStepStatus.RUNNING
    if row.status == PlaybookStepStatus.GIVEN_UP:
        raise StepVoided(f"{path} was given up while this attempt was under way.")
    if row.token != token or row.status != wanted:
        raise StaleAttempt(f"{path}: attempt {token} lost its claim to attempt {row.token}.")
    return order, run, row


def counted_failure(run_id: str, path: str, token: int, step: ActivityStep, error: Exception) -> DomainError:
    """Count the failure; answers what to raise: the error while attempts are left, else `StepFailed`."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row = run.steps.select_for_update().get(path=path)
        if row.token != token:
            return StaleAttempt(f"{path}: attempt {token} lost its claim to attempt {row.token}.")
        row.failures, row.error = row.failures + 1, str(error)[:500]
        row.save(update_fields=["failures", "error"])
    final = isinstance(error, NO_SECOND_TRY) or row.failures >= step.attempts
    if final:
        return StepFailed(str(error)[:500])
    return error if isinstance(error, DomainError) else StepFailed(str(error)[:500])


def count_late(run_id: str, path: str, step: ActivityStep) -> None:
    """Count an attempt that took longer than the step allows, so that another one took its place.

    One that died with its worker is not counted: it is no word about the step.
    """
    with transaction.atomic():
        _, run = running.lock(run_id)
        row = run.steps.select_for_update().get(path=path)
        if row.status not in CLOSED_STEPS:
            row.failures, row.error = row.failures + 1, f"It took longer than {step.timeout_seconds} seconds."
            row.save(update_fields=["failures", "error"])


def give_up_open(run: PlaybookRun, *, failed: bool) -> None:
    """Nothing more comes of the steps that are open, and of those that `failed`. The caller holds the run's lock."""
    kept = CLOSED_STEPS if failed else CLOSED_STEPS | {PlaybookStepStatus.FAILED}
    run.steps.exclude(status__in=kept).update(status=PlaybookStepStatus.GIVEN_UP, finished_at=clock.now())


def run_of(run_id: str) -> PlaybookRun:
    return PlaybookRun.objects.select_related("version__playbook").get(pk=run_id)


def row_of(run: PlaybookRun, path: str) -> tuple[PlaybookStepRun, places.Place]:
    """The step's row, made when it is new. The caller holds the run's lock."""
    place = places.find(run, path)
    row, _ = PlaybookStepRun.objects.get_or_create(
        run=run, path=path, defaults={"step_id": place.step.id, "type": place.step.type}
    )
    return row, place


def close(row: PlaybookStepRun, status: PlaybookStepStatus) -> None:
    row.status, row.finished_at = status, clock.now()
    if status is PlaybookStepStatus.DONE:
        row.error = ""
    row.save()


def settle_pause(run: PlaybookRun) -> None:
    """Say "paused" once nothing is under way any more. The caller holds the run's lock."""
    under_way = run.steps.filter(status=PlaybookStepStatus.RUNNING, type="activity")
    if run.status == PlaybookRunStatus.PAUSING and not under_way.exists():
        running.move(run, PlaybookRunStatus.PAUSED)


def record(run: PlaybookRun, event: EventType, actor: Actor, reason: str, path: str, data: dict[str, Any]) -> None:
    about = {"playbook_run": str(run.pk), "playbook": str(run.version), **({"path": path} if path else {}), **data}
    history.record(run.order, event, actor=actor, reason=reason or str(run.version), data=about)
