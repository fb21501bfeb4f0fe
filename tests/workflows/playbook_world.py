"""Stand-ins for the rows of a playbook's run, and the activities that ask and change them, kept in memory.

They follow the rules of `orders.services.playbooks.following` and `taking_back`: a closed step is done once, a paused
run begins nothing, an undo takes the step that was done last. Conditions may name `loop` only.
"""

import asyncio
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import WorkflowHandle
from temporalio.exceptions import ApplicationError

from orders.playbooks import expressions
from orders.playbooks.definition import ActivityStep, AskStep, Definition, OnFailure, StepType, WaitStep, walk
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, FailureType
from orders.vocabulary import PlaybookRunStatus as Run
from orders.vocabulary import PlaybookStepStatus as Step
from temporal_app.playbook_payloads import PlaybookPlan, PlaybookStepStanding
from temporal_app.workflows.playbook import PlaybookWorkflow
from tests.orders.playbooks import document

CLOSED = {Step.DONE, Step.SKIPPED, Step.GIVEN_UP, Step.UNDONE, Step.UNDOING}
ROUND = re.compile(r"#\d+")


@dataclass
class Row:
    step: StepType
    status: Step = Step.RUNNING
    #: when it was closed, counted
    closed_at: int = 0
    rounds: int = 0
    holds: bool | None = None
    deadline: datetime | None = None
    answer: str = ""


@dataclass
class PlaybookWorld:
    """One run, and everything that happens to it."""

    definition: Definition
    subs: dict[str, Definition] = field(default_factory=dict)
    #: waits and questions are over the second time they are asked
    hurried: bool = False
    status: Run = Run.RUNNING
    rows: dict[str, Row] = field(default_factory=dict)
    #: paths of activity steps in the order in which their effect happened, and was taken back
    effects: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    #: "name path" of every activity that was called, each attempt once
    calls: list[str] = field(default_factory=list)
    #: path -> errors of its attempts, the next first; an exhausted list means success
    errors: dict[str, list[ApplicationError]] = field(default_factory=lambda: defaultdict(list))
    undo_errors: dict[str, list[ApplicationError]] = field(default_factory=lambda: defaultdict(list))
    #: path -> what a person says at once of a step that was parked
    decisions: dict[str, Step] = field(default_factory=dict)
    message: str = ""

    def __post_init__(self) -> None:
        self.run_id = str(uuid.uuid4())
        self._changed = asyncio.Condition()
        self._gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = {}
        self._closed = 0
        self.now: Callable[[], Any] | None = None

    @classmethod
    def of(cls, *steps: dict[str, Any], subs: dict[str, list[dict[str, Any]]] | None = None, **more: Any) -> Any:
        known = {name: Definition.model_validate(document(*inner)) for name, inner in (subs or {}).items()}
        return cls(Definition.model_validate(document(*steps)), subs=known, **more)

    # What people do: the row first, then the message.

    def pause(self) -> None:
        self.status = Run.PAUSED

    def cancel(self) -> None:
        for path, row in self.rows.items():
            if row.status is Step.FAILED:
                self.mark(path, Step.GIVEN_UP)
        self.status, self.message = Run.UNDOING, "Cancelled by a person"

    def resume(self) -> None:
        parked = any(row.status is Step.FAILED for row in self.rows.values())
        self.status = Run.PARKED if parked else Run.RUNNING

    def decide(self, path: str, status: Step) -> None:
        """Retry (RUNNING, or UNDOING of an undo) or skip (SKIPPED) a step that has failed."""
        assert self.rows[path].status is Step.FAILED
        self.mark(path, status)
        if self.status is Run.PARKED:
            self.resume()

    def answer(self, path: str, option: str) -> None:
        assert self.rows[path].status is Step.WAITING
        self.rows[path].answer = option

    async def tell(self, handle: WorkflowHandle[Any, Any]) -> None:
        await handle.signal(PlaybookWorkflow.look_again)

    # What tests wait for.

    def stop_at(self, call: str) -> None:
        """The activity ("run_playbook_step steps.0") will wait inside until `let_go`."""
        self._gates[call] = (asyncio.Event(), asyncio.Event())

    async def reached(self, call: str) -> None:
        await asyncio.wait_for(self._gates[call][0].wait(), 30)

    def let_go(self, call: str) -> None:
        self._gates[call][1].set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(condition)

    def statuses(self) -> dict[str, str]:
        return {path: str(row.status) for path, row in self.rows.items()}

    # What the engine does.

    def at(self, path: str) -> Row:
        if path not in self.rows:
            *outer, last = path.split("/")
            definition = self.definition
            for part in outer:
                step = dict(self._steps(definition))[ROUND.sub("", part)]
                definition = self.subs[f"{step.playbook}@{step.version}"]  # type: ignore[union-attr]
            self.rows[path] = Row(dict(self._steps(definition))[ROUND.sub("", last)])
        return self.rows[path]

    def plan(self) -> PlaybookPlan:
        loops = {path: row for path, row in self.rows.items() if row.step.type == "loop" and row.status not in CLOSED}
        over = tuple(f"{path}#{number}." for path, row in loops.items() for number in range(1, row.rounds + 1))
        closed = [path for path, row in self.rows.items() if row.status in CLOSED]
        return PlaybookPlan(
            definition=self.definition,
            subs=self.subs,
            done=[path for path in closed if not over or not path.startswith(over)],
            rounds={path: row.rounds for path, row in loops.items() if row.rounds},
            undoing=self.status is Run.UNDOING or self.status in ENDED_PLAYBOOK_RUNS,
        )

    def claim(self, path: str) -> Row:
        if self.status is Run.UNDOING or self.status in ENDED_PLAYBOOK_RUNS:
            raise final(FailureType.STEP_VOIDED, "The run is being undone")
        row = self.at(path)
        if row.status not in CLOSED and self.status is Run.PAUSED and row.deadline is None:
            raise final(FailureType.RUN_PAUSED, "The run is paused")
        return row

    def holds(self, condition: str, path: str) -> bool:
        rounds = ROUND.findall(path.split("/")[-1])
        facts = {"loop": {"number": int(rounds[-1][1:])}} if rounds else {}
        try:
            return bool(expressions.evaluate(condition, facts))
        except expressions.EvaluationFailed as error:
            raise final(FailureType.STEP_FAILED, str(error)) from None

    async def settle(self, path: str) -> PlaybookStepStanding:
        row = self.claim(path)
        if row.status in CLOSED:
            return PlaybookStepStanding(closed=True)
        step = row.step
        assert isinstance(step, WaitStep | AskStep)
        begun = row.deadline is not None
        now = await self.now() if self.now else datetime.now(UTC)
        if row.deadline is None:
            seconds = step.deadline_seconds if isinstance(step, AskStep) else step.seconds
            row.deadline, row.status = now + timedelta(seconds=seconds), Step.WAITING
        over = row.deadline <= now or (self.hurried and begun) or bool(row.answer)
        if isinstance(step, WaitStep) and step.until is not None:
            over = over or self.holds(step.until, path)
        if over:
            self.mark(path, Step.DONE)
            return PlaybookStepStanding(closed=True)
        left = 0.0 if self.hurried else (row.deadline - now).total_seconds()
        return PlaybookStepStanding(closed=False, wait_seconds=left)

    def fail(self, path: str, message: str) -> OnFailure:
        row = self.at(path)
        how = row.step.on_failure if isinstance(row.step, ActivityStep) else OnFailure.PARK
        if row.status in CLOSED:
            return OnFailure.CONTINUE
        parks = how is OnFailure.PARK and self.status is not Run.UNDOING
        self.mark(path, Step.FAILED if parks else Step.GIVEN_UP)
        if how is OnFailure.PARK and self.status is Run.RUNNING:
            self.status = Run.PARKED
        if row.status is Step.FAILED and path in self.decisions:
            self.decide(path, self.decisions[path])
        return how

    def next_undo(self) -> str | None:
        if self.status in ENDED_PLAYBOOK_RUNS:
            return None
        left = [
            (row.closed_at, path)
            for path, row in self.rows.items()
            if isinstance(row.step, ActivityStep) and row.step.undo and row.status in {Step.DONE, *UNDO_LEFT}
        ]
        return max(left)[1] if left else None

    def close_open(self, *, failed: bool) -> None:
        """A step that has failed in a run that is being undone is an undo that waits for a person."""
        for path, row in self.rows.items():
            if row.status not in CLOSED and (failed or row.status is not Step.FAILED):
                self.mark(path, Step.GIVEN_UP)

    async def happen(self, name: str, path: str) -> None:
        call = f"{name} {path}".strip()
        self.calls.append(call)
        await self.told()
        if call in self._gates:
            arrived, go = self._gates[call]
            arrived.set()
            # The real activities run in threads, which no cancellation interrupts.
            while not go.is_set():
                with suppress(asyncio.CancelledError):
                    await go.wait()

    async def told(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def mark(self, path: str, status: Step) -> None:
        self._closed += 1
        self.rows[path].status, self.rows[path].closed_at = status, self._closed

    @staticmethod
    def _steps(definition: Definition) -> list[tuple[str, StepType]]:
        return [(path, step) for path, step, _ in walk(definition.steps)]

    def nothing_twice(self) -> bool:
        return max(Counter(self.effects).values(), default=0) <= 1 and (
            max(Counter(self.undone).values(), default=0) <= 1
        )


UNDO_LEFT = {Step.UNDOING, Step.FAILED}


def final(failure_type: FailureType, message: str) -> ApplicationError:
    return ApplicationError(message, type=failure_type, non_retryable=True)


def used_up(message: str = "no more attempts") -> ApplicationError:
    """What a step answers that has used its attempts."""
    return final(FailureType.STEP_FAILED, message)
