"""A worker whose activities say what a test has written down for their names, whichever workflow asks."""

import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio import activity
from temporalio.client import WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker, WorkflowRunner

from temporal_app.authenticity import BelievingRunner

#: an answer, an error to raise, or what makes either of how often the activity was asked before
Answer = Any


def away(asked: int) -> ApplicationError:
    """A database that is away: the longer pause stands in for hundreds of short ones outside of the workflow task."""
    return ApplicationError("away", type="database", next_retry_delay=timedelta(hours=6) if asked >= 3 else None)


class Answers:
    """What the activities say, and how often each was asked; what nobody has written down fails."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: Counter[str] = Counter()

    def activity(self) -> Callable[..., Any]:
        @activity.defn(dynamic=True)
        async def anything(given: Sequence[RawValue]) -> Any:
            name = activity.info().activity_type
            asked = self.asked[name]
            self.asked[name] += 1
            answer = self.answers.get(name, away)
            answer = answer(asked) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return anything

    @asynccontextmanager
    async def running(
        self,
        server: WorkflowEnvironment,
        workflow: type,
        given: object,
        *,
        workflow_id: str = "",
        runner: WorkflowRunner | None = None,
    ) -> AsyncIterator[WorkflowHandle[Any, Any]]:
        """The started workflow, with a worker on a task queue of its own."""
        queue = f"test-{uuid.uuid4()}"
        async with Worker(
            server.client,
            task_queue=queue,
            workflows=[workflow],
            activities=[self.activity()],
            workflow_runner=runner or BelievingRunner(),
        ):
            yield await server.client.start_workflow(
                workflow.run,  # type: ignore[attr-defined]
                given,
                id=workflow_id or queue,
                task_queue=queue,
            )
