"""Taking back what a run did: in reverse, each step once, by the undo that its definition names.

An undo that used its attempts waits for a person, who has it tried again or leaves it with a reason; a log line would
leave a voucher with a customer who got no apology.
"""

from __future__ import annotations

from django.db import transaction

from orders.actor import Actor
from orders.errors import DomainError, PartnerDown, StaleAttempt, StepVoided
from orders.playbooks.definition import ActivityStep
from orders.playbooks.expressions import EvaluationFailed
from orders.services.playbooks import actions, places, rows, running
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, EventType, PlaybookRunStatus, PlaybookStepStatus


def begin_undo(run_id: str, *, message: str, actor: Actor) -> None:
    """No step may commit any more; from here on everything that was done is taken back."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        if run.status in ENDED_PLAYBOOK_RUNS:
            return
        # What has failed in a run that is being undone already is an undo: it goes on waiting for a person.
        rows.give_up_open(run, failed=run.status != PlaybookRunStatus.UNDOING)
        if run.status != PlaybookRunStatus.UNDOING:
            running.move(run, PlaybookRunStatus.UNDOING, message=message)


def next_undo(run_id: str) -> str | None:
    """The path of the step to take back next: the one that was done last and names an undo; of an ended run none."""
    run = rows.run_of(run_id)
    if run.status in ENDED_PLAYBOOK_RUNS:
        return None
    to_do = [PlaybookStepStatus.DONE, PlaybookStepStatus.UNDOING, PlaybookStepStatus.FAILED]
    for row in run.steps.filter(type="activity", status__in=to_do).order_by("-finished_at", "-id"):
        step = places.find(run, row.path).step
        if isinstance(step, ActivityStep) and step.undo is not None:
            return str(row.path)
    return None


def undo(run_id: str, path: str, *, actor: Actor) -> None:
    """Take a step back, once. Raises `StepFailed` when it used its attempts, which parks it for a person."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row, place = rows.row_of(run, path)
        step = place.step
        if row.status in {PlaybookStepStatus.UNDONE, PlaybookStepStatus.SKIPPED}:
            return
        assert isinstance(step, ActivityStep)
        assert step.undo is not None
        if row.status == PlaybookStepStatus.DONE:
            # Attempts that the step itself used are none of its undo's.
            row.failures = 0
        row.status, row.token = PlaybookStepStatus.UNDOING, row.token + 1
        row.save(update_fields=["status", "token", "failures"])
        token = row.token
    acting = actions.acting_for(run, actor, step.undo.activity)
    key = f"{run_id}:{path}:undo"
    try:
        parameters = actions.parameters_of(step.undo, place, run)
        prepared = actions.prepare(step.undo.activity, run, parameters, key=key, actor=acting)
        with transaction.atomic():
            order, run, row = rows.mine(run_id, path, token, undoing=True)
            actions.carry_out(step.undo.activity, order, parameters, prepared, key=key, actor=acting)
            order.refresh_from_db()
            rows.close(row, PlaybookStepStatus.UNDONE)
            rows.record(run, EventType.PLAYBOOK_STEP_UNDONE, actor, step.title or step.id, path, {})
    except (StaleAttempt, StepVoided, PartnerDown):
        raise
    except (DomainError, EvaluationFailed) as error:
        raise rows.counted_failure(run_id, path, token, step, error) from error


def fail_undo(run_id: str, path: str, message: str, *, actor: Actor) -> None:
    """An undo that used its attempts waits for a person: retry it, or skip it with a reason."""
    with transaction.atomic():
        _, run = running.lock(run_id)
        row, _ = rows.row_of(run, path)
        if row.status == PlaybookStepStatus.UNDOING:
            row.token += 1
            row.error = message[:500]
            rows.close(row, PlaybookStepStatus.FAILED)
            rows.record(run, EventType.PLAYBOOK_STEP_FAILED, actor, message, path, {"undo": True})
