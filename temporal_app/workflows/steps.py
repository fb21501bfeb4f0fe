"""A step in the database: at once inside the workflow task, and outside of it when it keeps failing.

A local activity costs no trip to the server, and holds a slot of the worker for workflow tasks for as long as it is
tried; the engine allows a hundred of them, and every few seconds the wait costs three events. So it has a few tries in
some seconds. After that the same activity is scheduled as a regular one: the server keeps it, for ever, between two
attempts no slot is held, and no attempt but the last one stands in the history.
"""

from collections.abc import Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError

with workflow.unsafe.imports_passed_through():
    from temporal_app import policies
    from temporal_app.workflows.proof import root_cause

A = TypeVar("A")
R = TypeVar("R")


async def database_step(step: Callable[[A], R], given: A, summary: str) -> R:
    """Do the step until it succeeds. Raises what is final, as a local or a regular activity does, or a cancellation."""
    try:
        return await workflow.execute_local_activity(step, given, **policies.database(summary))
    except (ActivityError, ApplicationError) as error:
        # One that was cancelled meanwhile ends as cancelled, whatever its last attempt said.
        if not _may_pass(error):
            raise
    return await workflow.execute_activity(step, given, **policies.patient_database(summary))


def _may_pass(error: BaseException) -> bool:
    cause = root_cause(error)
    return isinstance(cause, TimeoutError) or (isinstance(cause, ApplicationError) and not cause.non_retryable)
