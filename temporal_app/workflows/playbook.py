"""One run of a playbook: the interpreter of a definition that staff wrote.

It decides nothing by itself: which steps there are says the definition, which is pinned; what a condition is, whether a
person answered and what has happened already say activities, whose results are in the history. So a run is
deterministic whatever staff write. The rows of the steps are the memory: a run that grows long continues as new, is
told what is done, and goes on behind it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from orders.playbooks.catalogue import CATALOGUE
    from orders.playbooks.definition import (
        ActivityStep,
        AskStep,
        ConditionalStep,
        LoopStep,
        OnFailure,
        ParallelStep,
        StepType,
        SubPlaybookStep,
        WaitStep,
    )
    from orders.vocabulary import FailureType, PlaybookEnding, PlaybookStepStatus
    from temporal_app import policies
    from temporal_app.activities import playbooks as activities
    from temporal_app.playbook_payloads import EndPlaybook, PlaybookInput, PlaybookPlan, PlaybookResult, PlaybookStep
    from temporal_app.task_queues import TaskQueue
    from temporal_app.workflows.saga import is_saga_failure, raise_if_cancelled, shielded
    from temporal_app.workflows.steps import database_step
    from temporal_app.workflows.waits import Wakes, is_long

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")
#: the type of the error by which a step ends the run -> how
ENDINGS = {PlaybookEnding.STOPPED: OnFailure.STOP, PlaybookEnding.UNDO: OnFailure.UNDO}


@workflow.defn
class PlaybookWorkflow:
    @workflow.init
    def __init__(self, run: PlaybookInput) -> None:
        self.run_input = run
        self.plan: PlaybookPlan | None = None
        self.done: set[str] = set()
        self.wakes = Wakes()
        #: activities of steps that are under way
        self.at_work = 0
        #: paths of failed steps, and failed undos, of which a person has not decided yet
        self.undecided = set(run.undecided)
        #: parallel steps that are under way; a run cannot continue as new in the middle of one
        self.in_parallel = 0
        #: parallel steps of which one way failed: nothing inside of them may begin any more
        self.stopped: list[str] = []

    @workflow.signal
    def look_again(self, *given: Any) -> None:
        self.wakes.come(given)

    @workflow.run
    async def run(self, run: PlaybookInput) -> PlaybookResult:
        try:
            self.plan = await self.load()
            if self.plan.undoing:
                raise ApplicationError("The run is being undone", type=run.ending or PlaybookEnding.CANCELLED)
            self.done = set(self.plan.done)
            await self.sequence(self.plan.definition.steps, "steps")
            # In here: a cancellation that was faster than the end is obeyed.
            return await self.end(PlaybookEnding.COMPLETED, "")
        except (Exception, asyncio.CancelledError) as error:
            if not is_saga_failure(error):
                raise
            result = await shielded(self.end_early(error))
            if is_cancelled_exception(error) and workflow.cancellation_reason() is not None:
                raise
            return result

    async def ask(self, step: Callable[[A], R], given: A, summary: str) -> R:
        return await self.do(database_step(step, given, summary))

    async def do(self, work: Coroutine[Any, Any, R]) -> R:
        """Await an activity; no run continues as new before it has ended."""
        self.at_work += 1
        try:
            return await work
        finally:
            self.at_work -= 1

    async def load(self) -> PlaybookPlan:
        return await self.ask(activities.load_playbook, self.run_input, "Read the playbook")

    async def sequence(self, steps: tuple[StepType, ...], path: str) -> None:
        for number, step in enumerate(steps):
            here = f"{path}.{number}"
            if self.is_stopped(here):
                raise asyncio.CancelledError
            if here in self.done:
                continue
            await self.follow(step, here)
            raise_if_cancelled()
            self.continue_when_long()

    def is_stopped(self, here: str) -> bool:
        return any(here.startswith(f"{stopped}.") for stopped in self.stopped)

    def raise_if_stopped(self, here: str) -> None:
        """Before a way waits: an activity that ended well has swallowed the cancellation that stopped the way."""
        raise_if_cancelled()
        if self.is_stopped(here) and workflow.patched("stopped-ways-do-not-wait"):
            raise asyncio.CancelledError

    def continue_when_long(self, ending: PlaybookEnding | None = None) -> None:
        """Begin a new history between two steps; what is done is known to the rows."""
        if not self.in_parallel and is_long(self.wakes.told, as_ever=True):
            self.continue_as_new(ending)

    def continue_waiting(self, ending: PlaybookEnding | None = None) -> None:
        """Begin a new history where a step waits: also beside others, if none of them is at work."""
        if not self.at_work and is_long(self.wakes.told):
            self.continue_as_new(ending)

    def continue_as_new(self, ending: PlaybookEnding | None) -> None:
        undecided = tuple(sorted(self.undecided))
        workflow.continue_as_new(PlaybookInput(run_id=self.run_input.run_id, ending=ending, undecided=undecided))

    async def follow(self, step: StepType, here: str) -> None:
        if isinstance(step, ActivityStep):
            await self.until_decided(here, lambda: self.act(step, here))
        elif isinstance(step, ParallelStep):
            await self.go_parallel(step, here)
        elif isinstance(step, ConditionalStep):
            await self.choose(step, here)
        elif isinstance(step, LoopStep):
            await self.go_round(step, here)
        elif isinstance(step, WaitStep | AskStep):
            await self.until_decided(here, lambda: self.wait(here))
        else:
            await self.run_sub_playbook(step, here)

    async def act(self, step: ActivityStep, here: str) -> None:
        how = policies.playbook_step(step.title or step.id, step.timeout_seconds)
        if CATALOGUE[step.activity].calls_out:
            how["task_queue"] = TaskQueue.ENDPOINTS
        await self.do(workflow.execute_activity(activities.run_playbook_step, self.at(here), **how))

    async def choose(self, step: ConditionalStep, here: str) -> None:
        holds = await self.until_decided(here, lambda: self.decide(here))
        if holds is not None:
            name, steps = ("then", step.then) if holds else ("otherwise", step.otherwise)
            await self.sequence(steps, f"{here}.{name}")
        await self.finish(here)

    async def decide(self, here: str) -> bool:
        return await self.ask(activities.decide_playbook_step, self.at(here), "Ask the condition")

    async def go_round(self, step: LoopStep, here: str) -> None:
        assert self.plan is not None
        number = self.plan.rounds.get(here, 0) + 1
        while await self.until_decided(here, lambda number=number: self.again(here, number)):  # type: ignore[misc]
            await self.sequence(step.body, f"{here}#{number}.body")
            number += 1
        await self.finish(here)

    async def again(self, here: str, number: int) -> bool:
        return await self.ask(
            activities.next_playbook_round,
            PlaybookStep(run_id=self.run_input.run_id, path=here, number=number),
            "Ask whether to go round",
        )

    async def wait(self, here: str) -> None:
        while True:
            self.continue_waiting()
            told = self.wakes.told
            standing = await self.ask(activities.settle_playbook_step, self.at(here), "Look whether the wait is over")
            self.raise_if_stopped(here)
            if standing.closed:
                return
            await self.wakes.next(told, within=timedelta(seconds=standing.wait_seconds))

    async def go_parallel(self, step: ParallelStep, here: str) -> None:
        """All ways at once. The first that fails stops the others; they are awaited before it is told."""
        self.in_parallel += 1
        ways = [
            asyncio.create_task(self.sequence(branch, f"{here}.branches.{number}"))
            for number, branch in enumerate(step.branches)
        ]
        try:
            await workflow.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            if any(not way.done() or way.cancelled() or way.exception() for way in ways):
                self.stopped.append(here)
                for way in ways:
                    way.cancel()
            await shielded(settled(ways))
            self.in_parallel -= 1
        raise_if_cancelled()
        failures = [error for way in ways if not way.cancelled() and (error := way.exception()) is not None]
        for error in sorted(failures, key=is_cancelled_exception):
            raise error
        await self.finish(here)

    async def run_sub_playbook(self, step: SubPlaybookStep, here: str) -> None:
        assert self.plan is not None
        definition = self.plan.subs[f"{step.playbook}@{step.version}"]
        await self.sequence(definition.steps, f"{here}/steps")
        await self.finish(here)

    async def finish(self, here: str) -> None:
        await self.ask(activities.finish_playbook_step, self.at(here), "Note that the step has ended")

    async def until_decided(self, here: str, attempt: Callable[[], Awaitable[T]]) -> T | None:
        """The attempt's answer, or None for a step that the run goes on without.

        A step that finds the run paused is run again when a person resumed it; one that used its attempts does what
        its definition says, and waits for a person where that is to park.
        """
        # Of a run that has continued as new: it failed in the one before, and must not be tried unasked.
        if here in self.undecided and await self.decision(here) is PlaybookStepStatus.SKIPPED:
            return None
        while True:
            try:
                return await attempt()
            except (ActivityError, ApplicationError) as error:
                kind = type_of(error)
                if kind == FailureType.RUN_PAUSED:
                    await self.wait_for_resume(here)
                    continue
                if kind in {FailureType.STEP_VOIDED, *ENDINGS} or is_cancelled_exception(error):
                    raise
                message = message_of(error)
                how = await self.fail(here, message)
            if how in ENDINGS.values():
                ending = PlaybookEnding.STOPPED if how is OnFailure.STOP else PlaybookEnding.UNDO
                raise ApplicationError(message, type=ending, non_retryable=True)
            if how is OnFailure.CONTINUE or await self.decision(here) is PlaybookStepStatus.SKIPPED:
                return None

    async def fail(self, here: str, message: str) -> OnFailure:
        how = await self.ask(
            activities.fail_playbook_step,
            PlaybookStep(run_id=self.run_input.run_id, path=here, message=message),
            "Note that the step has failed",
        )
        self.raise_if_stopped(here)
        return how

    async def decision(self, here: str) -> PlaybookStepStatus:
        """What a person decided of a failed step, however long that takes."""
        self.undecided.add(here)
        while True:
            self.continue_waiting()
            told = self.wakes.told
            status = await self.ask(activities.decision_on_playbook_step, self.at(here), "Look what was decided")
            self.raise_if_stopped(here)
            if status is not PlaybookStepStatus.FAILED:
                self.undecided.discard(here)
                return status
            await self.wakes.next(told)

    async def wait_for_resume(self, here: str) -> None:
        while True:
            self.continue_waiting()
            told = self.wakes.told
            still = await self.ask(activities.playbook_stands_still, self.run_input, "Stand still")
            self.raise_if_stopped(here)
            if not still:
                return
            await self.wakes.next(told)

    async def end_early(self, error: BaseException) -> PlaybookResult:
        ending, message = ending_of(error), message_of(error)
        if ending is PlaybookEnding.STOPPED:
            return await self.end(ending, message)
        await self.ask(
            activities.begin_playbook_undo,
            PlaybookStep(run_id=self.run_input.run_id, path="", message=message),
            "Begin the undo",
        )
        while (path := await self.next_undo()) is not None:
            await self.undo(path, ending)
            self.continue_when_long(ending)
        return await self.end(ending, message)

    async def next_undo(self) -> str | None:
        return await self.ask(activities.next_playbook_undo, self.run_input, "Look what is to be undone")

    async def undo(self, path: str, ending: PlaybookEnding) -> None:
        """Take one step back, or wait until a person says that it is to be tried again or left as it is."""
        parked = f"undo {path}"
        if parked not in self.undecided:
            try:
                await self.do(
                    workflow.execute_activity(
                        activities.undo_playbook_step, self.at(path), **policies.playbook_step("Undo", 60)
                    )
                )
                return
            except (ActivityError, ApplicationError) as error:
                if type_of(error) != FailureType.STEP_FAILED:
                    raise
                failed = PlaybookStep(run_id=self.run_input.run_id, path=path, message=message_of(error))
            await self.ask(activities.fail_playbook_undo, failed, "Park the undo")
            self.undecided.add(parked)
        while True:
            self.continue_waiting(ending)
            told = self.wakes.told
            if not await self.is_failed(path):
                break
            await self.wakes.next(told)
        self.undecided.discard(parked)

    async def is_failed(self, path: str) -> bool:
        status = await self.ask(activities.decision_on_playbook_step, self.at(path), "Look what was decided")
        return status is PlaybookStepStatus.FAILED

    async def end(self, ending: PlaybookEnding, message: str) -> PlaybookResult:
        status = await self.ask(
            activities.end_playbook,
            EndPlaybook(run_id=self.run_input.run_id, ending=ending, message=message),
            "Close the run",
        )
        return PlaybookResult(run_id=self.run_input.run_id, status=status)

    def at(self, path: str) -> PlaybookStep:
        return PlaybookStep(run_id=self.run_input.run_id, path=path)


async def settled(ways: list[asyncio.Task[None]]) -> None:
    """Until every way has ended, whatever its end."""
    await asyncio.gather(*ways, return_exceptions=True)


def cause_of(error: BaseException) -> BaseException:
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return error


def type_of(error: BaseException) -> str | None:
    cause = cause_of(error)
    return cause.type if isinstance(cause, ApplicationError) else None


def message_of(error: BaseException) -> str:
    if is_cancelled_exception(error):
        return "The run was cancelled"
    cause = cause_of(error)
    return str(getattr(cause, "message", "") or cause)[:500]


def ending_of(error: BaseException) -> PlaybookEnding:
    kind = type_of(error)
    if kind in set(PlaybookEnding):
        return PlaybookEnding(str(kind))
    # A cancellation, or a step that found the run being undone before Temporal's own request arrived.
    cancelled = is_cancelled_exception(error) or kind == FailureType.STEP_VOIDED
    return PlaybookEnding.CANCELLED if cancelled else PlaybookEnding.UNDO
