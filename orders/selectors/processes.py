"""How a process run stands, for people: its progress, its steps, and what they can do about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from orders.amounts import duration, number
from orders.models import ProcessRun, ProcessStep
from orders.vocabulary import (
    ENDED_PROCESS_STATUSES,
    ENDED_PROCESS_STEPS,
    ProcessStatus,
    ProcessStepStatus,
)
from orders.wording import Tone, status_word

RUN_TONES: dict[ProcessStatus, Tone] = {
    ProcessStatus.RUNNING: Tone.MOVING,
    ProcessStatus.PAUSING: Tone.WAITING,
    ProcessStatus.PAUSED: Tone.WAITING,
    ProcessStatus.CANCELLING: Tone.WAITING,
    ProcessStatus.CANCELLED: Tone.NEUTRAL,
    ProcessStatus.COMPLETED: Tone.DONE,
    ProcessStatus.FAILED: Tone.TROUBLE,
}
STEP_TONES: dict[ProcessStepStatus, Tone] = {
    ProcessStepStatus.PENDING: Tone.NEUTRAL,
    ProcessStepStatus.WAITING: Tone.WAITING,
    ProcessStepStatus.RUNNING: Tone.MOVING,
    ProcessStepStatus.DONE: Tone.DONE,
    ProcessStepStatus.FAILED: Tone.TROUBLE,
    ProcessStepStatus.SKIPPED: Tone.NEUTRAL,
}


@dataclass(frozen=True, kw_only=True)
class StepShown:
    step: ProcessStep
    title: str
    word: str
    tone: Tone
    took: str
    figures: list[tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class RunShown:
    run: ProcessRun
    title: str
    word: str
    tone: Tone
    #: whole percent of its steps that have ended
    progress: int
    #: a step failed or was not reached: what it would have found is not known
    is_incomplete: bool
    is_over: bool
    steps: list[StepShown]
    can_pause: bool
    can_resume: bool
    can_cancel: bool


def progress(steps: list[ProcessStep]) -> int:
    """Whole percent of the steps that have ended."""
    return 100 * sum(1 for step in steps if step.status in ENDED_PROCESS_STEPS) // len(steps) if steps else 0


def is_incomplete(run: ProcessRun, steps: list[ProcessStep]) -> bool:
    """Whether something that belongs to the run was not done, and will not be."""
    if run.status not in ENDED_PROCESS_STATUSES:
        return any(step.status == ProcessStepStatus.FAILED for step in steps)
    return any(step.status != ProcessStepStatus.DONE for step in steps)


def shown(run: ProcessRun) -> RunShown:
    steps = list(run.steps.order_by("position"))
    status = ProcessStatus(run.status)
    return RunShown(
        run=run,
        title=f"{status_word(run.definition)} of {run.business_day:%d %b %Y}",
        word=status_word(status),
        tone=RUN_TONES[status],
        progress=progress(steps),
        is_incomplete=is_incomplete(run, steps),
        is_over=status in ENDED_PROCESS_STATUSES,
        steps=[_step(step) for step in steps],
        can_pause=status == ProcessStatus.RUNNING,
        can_resume=status in {ProcessStatus.PAUSING, ProcessStatus.PAUSED},
        can_cancel=status in {ProcessStatus.RUNNING, ProcessStatus.PAUSING, ProcessStatus.PAUSED},
    )


def _step(step: ProcessStep) -> StepShown:
    status = ProcessStepStatus(step.status)
    took = step.finished_at - step.started_at if step.finished_at and step.started_at else None
    return StepShown(
        step=step,
        title=status_word(step.name),
        word=status_word(status),
        tone=STEP_TONES[status],
        took=duration(took or timedelta()) if took is not None else "",
        # Sums by currency are in the outcome, as money.
        figures=[(status_word(name), number(value)) for name, value in sorted(step.figures.items()) if name != "sums"],
    )
