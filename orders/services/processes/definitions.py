"""The processes that can be run: which steps, in which order, how long they wait, and what a failure means.

They are code and not rows, because a step is code: a definition that could name a step of tomorrow would fail at
half past ten in the night. Only the delays are configured (`PROCESS_DELAYS`); a run keeps those that it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings

from orders.services.processes.pacing import Pace
from orders.services.processes.reconciling import reconcile
from orders.services.processes.releasing import release_stale
from orders.services.processes.settling import settle_captures
from orders.services.processes.summarising import send_summary
from orders.services.processes.tracking import refresh_tracking
from orders.vocabulary import OnFailure, ProcessName, ProcessStepName


@dataclass(frozen=True, kw_only=True)
class StepDefinition:
    name: ProcessStepName
    #: does the step, chunk by chunk; answers in a sentence what came of it
    work: Callable[[Pace], str]
    on_failure: OnFailure
    #: seconds after the end of the step before, unless `PROCESS_DELAYS` says otherwise
    delay_seconds: int = 0
    #: runs on the queue for calls to partners
    asks_partner: bool = False
    #: how long it is tried; None for as long as it takes
    patience: timedelta | None = None

    @property
    def delay(self) -> int:
        return int(settings.PROCESS_DELAYS.get(self.name, self.delay_seconds))


DEFINITIONS: Mapping[ProcessName, tuple[StepDefinition, ...]] = {
    ProcessName.DAY_END_CLOSE: (
        # The others would compare with books that do not agree with themselves.
        StepDefinition(name=ProcessStepName.SETTLE_CAPTURES, work=settle_captures, on_failure=OnFailure.STOP),
        StepDefinition(
            name=ProcessStepName.RECONCILE,
            work=reconcile,
            on_failure=OnFailure.CONTINUE,
            # The gateway's list may lag a little behind its answers.
            delay_seconds=10,
            asks_partner=True,
            patience=timedelta(hours=1),
        ),
        StepDefinition(name=ProcessStepName.RELEASE_STALE, work=release_stale, on_failure=OnFailure.CONTINUE),
        StepDefinition(
            name=ProcessStepName.REFRESH_TRACKING,
            work=refresh_tracking,
            on_failure=OnFailure.CONTINUE,
            asks_partner=True,
            patience=timedelta(hours=2),
        ),
        StepDefinition(
            name=ProcessStepName.SEND_SUMMARY,
            work=send_summary,
            on_failure=OnFailure.CONTINUE,
            patience=timedelta(minutes=5),
        ),
    )
}


def step_of(definition: str, position: int) -> StepDefinition:
    return DEFINITIONS[ProcessName(definition)][position - 1]
