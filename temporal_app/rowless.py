"""A process of which the database has no row has nothing to do: it ends, whatever its workflow would do next.

There is none after a restored backup. Tried again for ever, each of its activities would fail in the same way, and
nobody has a page on which it could be cancelled.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from temporal_app.policies import NO_ROW


class Rowless(Interceptor):
    """For workers of our own queues, and for replays of what they did."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        try:
            return await super().execute_workflow(input)
        except FailureError as error:
            if not _has_no_row(error):
                raise
            workflow.logger.warning("The database has no row of this process: it ends")
            return None


def _has_no_row(error: BaseException | None) -> bool:
    """Whether it says so, or is what a workflow made of that."""
    while error is not None:
        if isinstance(error, ApplicationError) and error.type == NO_ROW:
            return True
        error = error.__cause__ or error.__context__
    return False
