"""A playbook on each order of a batch: which one, the start of its run, and what became of it.

Runs are started as by hand, each for a cause that names its item and try, so that an attempt made twice starts one run.
Their rows say how far they are: the batch's process remembers none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from orders.actor import Actor
from orders.errors import DomainError, InvalidInput, NotPermitted, WrongState
from orders.models import Batch, BatchItem, PlaybookRun, PlaybookVersion
from orders.playbooks.validation import InvalidPlaybook
from orders.services.batches.working import Result, done, failed
from orders.services.playbooks import running
from orders.vocabulary import (
    BatchAction,
    ItemFailure,
    ItemStatus,
    PlaybookRunStatus,
    PlaybookStepStatus,
    RunTrigger,
)

#: a run that ended badly, or waits for a person because a step failed
FAILURES: Mapping[PlaybookRunStatus, ItemFailure] = {
    PlaybookRunStatus.FAILED: ItemFailure.PLAYBOOK_FAILED,
    PlaybookRunStatus.CANCELLED: ItemFailure.PLAYBOOK_CANCELLED,
    PlaybookRunStatus.PARKED: ItemFailure.PLAYBOOK_PARKED,
}
WAITS = "Started; it waits"


@dataclass(frozen=True, kw_only=True)
class ChosenPlaybook:
    """What the batch runs on each order."""

    slug: str
    #: None for the newest that is published
    version: int | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)


def require_playbook(
    action: BatchAction, chosen: ChosenPlaybook | None, actor: Actor
) -> tuple[PlaybookVersion | None, dict[str, Any]]:
    """The version and the inputs for the batch's row.

    Raises `InvalidInput` naming `playbook` or `version`, `InvalidPlaybook` naming the input, or `NotPermitted`.
    """
    if action is not BatchAction.PLAYBOOK:
        if chosen is not None:
            raise InvalidInput("playbook", f"A batch of the action {action} runs no playbook.")
        return None, {}
    if chosen is None:
        raise InvalidInput("playbook", "Say which playbook to run.")
    may = running.runnable(chosen.slug, chosen.version, chosen.inputs, actor=actor)
    return may.version, may.inputs


def begin(item: BatchItem, batch: Batch, actor: Actor) -> Result:
    """Start the item's run. Trouble with the database itself is raised."""
    version = batch.playbook
    if version is None:
        raise RuntimeError("A batch of another action has no playbook.")
    former = item.order.status
    try:
        with transaction.atomic():
            running.start(
                item.order.number,
                version.playbook.slug,
                actor=actor,
                reason=batch.reason,
                inputs=batch.inputs,
                version=version.number,
                trigger=RunTrigger.BATCH,
                cause=_cause(item, item.tries + 1),
            )
    except WrongState as refusal:
        return failed(ItemFailure.WRONG_STATE, str(refusal), former=former)
    except NotPermitted as refusal:
        return failed(ItemFailure.NOT_PERMITTED, str(refusal), former=former)
    except (DomainError, InvalidPlaybook) as refusal:
        return failed(ItemFailure.PLAYBOOK_REFUSED, str(refusal), former=former)
    return Result(status=ItemStatus.RUNNING, former_status=former)


def result(item: BatchItem) -> Result | None:
    """What became of the item's run; None while it runs."""
    run = PlaybookRun.objects.filter(cause=_cause(item, item.tries)).first()
    if run is None:
        return None
    status, which = PlaybookRunStatus(run.status), f"Run {run.pk}"
    if status is PlaybookRunStatus.COMPLETED:
        return done("Completed", former=item.former_status, detail=which)
    if status in FAILURES:
        return failed(FAILURES[status], f"{which}: {_why(run)}", former=item.former_status)
    if status is PlaybookRunStatus.PAUSED or run.steps.filter(status=PlaybookStepStatus.WAITING).exists():
        # The next move is a person's, or takes its time: the slot is somebody else's.
        return done(WAITS, former=item.former_status, detail=which)
    return None


def _why(run: PlaybookRun) -> str:
    errors = run.steps.filter(status=PlaybookStepStatus.FAILED).exclude(error="").order_by("-pk")
    return run.message or errors.values_list("error", flat=True).first() or run.status


def _cause(item: BatchItem, nth_try: int) -> str:
    return f"batch:{item.batch_id}:{item.position}:{nth_try}"
