"""One delivery to Temporal: started at most once, told only to what runs, and bounded in time.

Delivery is at least once, so each call must be harmless the second time. A start under a business id with
REJECT_DUPLICATE is: the second is refused, which is as good as delivered.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

#: for one attempt; the relay tries again. With the relay's `BUDGET` it fits into the lease of a message
RPC_TIMEOUT = timedelta(seconds=4)
REFUSED = {
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.INVALID_ARGUMENT,
    RPCStatusCode.UNIMPLEMENTED,
}


async def start_once(client: Client, workflow: Any, arg: Any, **how: Any) -> None:
    """Start under a business id; the second delivery of the same start changes nothing.

    `how` are options of `Client.start_workflow` (`id` and `task_queue` at least). With `start_signal` a workflow that
    runs already gets the signal.
    """
    options = {
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "id_conflict_policy": WorkflowIDConflictPolicy.USE_EXISTING,
        "rpc_timeout": RPC_TIMEOUT,
        **how,
    }
    try:
        await client.start_workflow(workflow, arg, **options)
    except WorkflowAlreadyStartedError:
        return


class NotThere(Exception):
    """Temporal runs no process under the id: it has ended, which needs no message, or it should be there and is not."""


#: how Temporal tells a namespace that it does not have from a workflow that it does not have
NO_NAMESPACE = "temporal.api.errordetails.v1.NamespaceNotFoundFailure"


@contextmanager
def not_there() -> Iterator[None]:
    """Raise `NotThere` where Temporal answers that it has no such running workflow."""
    try:
        yield
    except RPCError as error:
        details = error.grpc_status.details
        if error.status is not RPCStatusCode.NOT_FOUND or any(one.type_url.endswith(NO_NAMESPACE) for one in details):
            raise
        raise NotThere from error


async def cancel_running(client: Client, workflow_id: str) -> None:
    """Cancel the workflow. Raises `NotThere` when it does not run."""
    handle = client.get_workflow_handle(workflow_id)
    with not_there():
        await handle.cancel(rpc_timeout=RPC_TIMEOUT)
        # A workflow that was terminated takes a cancellation too, and nothing comes of it.
        found = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    if found.status is not WorkflowExecutionStatus.RUNNING:
        raise NotThere
