"""What the activities of long work share: who acts, and how to leave between two pieces of it."""

from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory, CancelledError

from orders.actor import Actor, system


def engine_actor(name: str) -> Actor:
    """The actor of the running activity; `name` is the process as staff know it."""
    info = activity.info()
    return system(name, workflow_id=info.workflow_id or "", run_id=info.workflow_run_id or "", attempt=info.attempt)


def beat(cursor: int, *, what: str) -> None:
    """Between two pieces: say how far `what` is, and leave when told to."""
    activity.heartbeat(cursor)
    if activity.is_cancelled():
        raise CancelledError(f"The {what} was cancelled")
    if activity.is_worker_shutdown():
        # Retryable: another worker goes on, and this one need not be killed after its grace period.
        raise ApplicationError(
            f"The worker is leaving; the {what} goes on elsewhere",
            type="worker_shutdown",
            category=ApplicationErrorCategory.BENIGN,
        )
