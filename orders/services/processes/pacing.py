"""How the work of a step keeps its place: chunks that commit their cursor, under a fence, with a stop between them.

Without the cursor a killed worker's successor would begin again at the first row; without the fence both would count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import transaction

from orders.actor import Actor
from orders.errors import StaleAttempt
from orders.models import ProcessDifference, ProcessRun, ProcessStep
from orders.vocabulary import DifferenceKind, ProcessStatus, ProcessStepStatus

#: called between two chunks with the cursor; raises when the attempt must leave
Beat = Callable[[str], None]


class Stopped(Exception):
    """The run is being cancelled: the step ends where it is."""


class Pace:
    """One attempt at a step. Its `step` is as it was committed last."""

    def __init__(self, run: ProcessRun, step: ProcessStep, *, actor: Actor, beat: Beat) -> None:
        self.run = run
        self.step = step
        self.actor = actor
        self._beat = beat

    @contextmanager
    def chunk(self, cursor: str = "", **counted: int) -> Iterator[ProcessStep]:
        """The transaction of one chunk: what it writes, its cursor and its figures are committed together.

        `counted` is added to the figures; the body may add to them too. Raises `StaleAttempt` when another attempt
        took over, `Stopped` after the commit when the run is being cancelled.
        """
        with transaction.atomic():
            step = held(self.step)
            yield step
            step.cursor = cursor or step.cursor
            for name, count in counted.items():
                add(step, name, count)
            step.save(update_fields=["cursor", "figures"])
        self.step = step
        self.rest()

    def rest(self) -> None:
        """Between two pieces of work: say that the attempt lives, and end it when the run is being cancelled."""
        self._beat(self.step.cursor)
        if ProcessRun.objects.filter(pk=self.run.pk, status=ProcessStatus.CANCELLING).exists():
            raise Stopped

    def differs(self, kind: DifferenceKind, reference: str, says: str, *, order_id: UUID | str | None = None) -> None:
        """Keep a difference, once for each run however often it is found."""
        ProcessDifference.objects.bulk_create(
            [ProcessDifference(run=self.run, kind=kind, reference=reference[:128], says=says[:500], order_id=order_id)],
            ignore_conflicts=True,
        )


def held(attempt: ProcessStep) -> ProcessStep:
    """The step's row, locked, if the attempt still holds it. Raises `StaleAttempt`."""
    step = ProcessStep.objects.select_for_update().get(pk=attempt.pk)
    if step.token != attempt.token or step.status != ProcessStepStatus.RUNNING:
        raise StaleAttempt(f"Step {step.name}: attempt {attempt.token} lost its claim to attempt {step.token}.")
    return step


def add(step: ProcessStep, name: str, count: int) -> None:
    """Count something, in memory."""
    figures: dict[str, Any] = step.figures
    figures[name] = figures.get(name, 0) + count
