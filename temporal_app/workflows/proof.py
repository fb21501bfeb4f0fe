"""Answers that prove nothing: what a workflow does when it was told something that our own books do not bear out.

Temporal carries messages, and whoever reaches it can send some. An activity of ours says `STEP_MISSING` when our books
miss what should have come before; the worker turns an answer that nobody of ours wrote into `policies.UNREADABLE`.
After either nothing is known but what the database says, so the work is done again. Every effect is fenced: what was
done is not done twice.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from orders.vocabulary import FailureType
    from temporal_app import policies
    from temporal_app.workflows.saga import shielded

T = TypeVar("T")
#: between two tries; whoever answers in our place is not outrun by haste, and each try takes two dozen events
PAUSES_GROW_BY = 4
LONGEST_PAUSE_SECONDS = 3_600


def root_cause(error: BaseException) -> BaseException:
    """The innermost error: an ActivityError itself says no more than "Activity task failed".

    A local activity that is not retried raises its own error, without one around it.
    """
    while isinstance(error, ActivityError) and error.cause is not None:
        error = error.cause
    return error


def is_unproven(error: BaseException) -> bool:
    cause = root_cause(error)
    return isinstance(cause, ApplicationError) and cause.type in {FailureType.STEP_MISSING, policies.UNREADABLE}


async def until_proven(work: Callable[[], Awaitable[T]], *, between: Callable[[], None] = lambda: None) -> T:
    """Do the work, again after a growing pause for as long as its outcome is not proved.

    `between` two tries nothing is under way: there a run may continue as new.
    """
    tries = 0
    while True:
        try:
            return await work()
        except (ActivityError, ApplicationError) as error:
            if not is_unproven(error):
                raise
        tries += 1
        between()
        await shielded(workflow.sleep(min(PAUSES_GROW_BY**tries, LONGEST_PAUSE_SECONDS)))
