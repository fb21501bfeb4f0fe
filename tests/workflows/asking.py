"""A workflow that tells what it gets to see; in a module of its own, for the sandbox imports it anew each time."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError


@dataclass(frozen=True)
class Question:
    words: str


@workflow.defn
class Answering:
    @workflow.run
    async def run(self, question: Question) -> bool:
        return True


@workflow.defn
class Asking:
    """Asks the activity `ask` some times, and then a child if it has a queue."""

    @workflow.run
    async def run(self, times: int, child_queue: str) -> list[str]:
        told = []
        for number in range(times):
            asked: Any = workflow.execute_activity(
                "ask",
                Question(str(number)),
                result_type=bool,
                start_to_close_timeout=timedelta(seconds=30),
                cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            )
            told.append(await self.seen(asked))
        if child_queue:
            child = workflow.execute_child_workflow(Answering.run, Question("child"), task_queue=child_queue)
            told.append(await self.seen(child))
        return told

    async def seen(self, asked: Any) -> str:
        """What came back; of a failure its type, and of another error its class."""
        try:
            return str(await asked)
        except (ActivityError, ChildWorkflowError) as error:
            cause = error.cause
            return str(cause.type) if isinstance(cause, ApplicationError) else type(cause).__name__
