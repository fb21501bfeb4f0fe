"""Answers `orders.gateway`: how Temporal sees the step of one order.

One client a process, connected eagerly on a loop in a thread of its own at the first question, and so after any fork:
requests come in many threads, and a client must live on one loop. A connection that takes longer than a question may
is not thrown away; the next question finds it.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import time
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from orders.gateway import LiveState, LiveStep
from temporal_app.client import connect
from temporal_app.step_activities import STEP_OF_ACTIVITY
from temporal_app.workflow_ids import order_workflow_id

STATES = {
    PendingActivityState.PENDING_ACTIVITY_STATE_STARTED: LiveState.RUNNING,
    PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED: LiveState.CANCELLING,
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSED: LiveState.PAUSED,
    PendingActivityState.PENDING_ACTIVITY_STATE_PAUSE_REQUESTED: LiveState.PAUSING,
}


class Line:
    """The connection and the thread it lives in."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="temporal-gateway", daemon=True)
        self.thread.start()
        self.connecting: asyncio.Task[Client] | None = None

    def describe(self, order_id: str, *, seconds: float) -> LiveStep | None:
        """Raises `TimeoutError`, `RuntimeError` or `RPCError`."""
        asked = asyncio.run_coroutine_threadsafe(self._describe(order_id, seconds), self.loop)
        try:
            return asked.result(seconds)
        finally:
            asked.cancel()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.connecting = None
        self.loop.close()

    async def _describe(self, order_id: str, seconds: float) -> LiveStep | None:
        client = await self._client()
        request = DescribeWorkflowExecutionRequest(
            namespace=client.namespace, execution=WorkflowExecution(workflow_id=order_workflow_id(order_id))
        )
        try:
            answer = await client.workflow_service.describe_workflow_execution(
                request, timeout=timedelta(seconds=seconds)
            )
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        found = [_live(pending) for pending in answer.pending_activities if _is_step(pending)]
        return found[0] if found else None

    async def _client(self) -> Client:
        failed = self.connecting is not None and self.connecting.done() and self.connecting.exception() is not None
        if self.connecting is None or failed:
            self.connecting = asyncio.ensure_future(connect())
        return await asyncio.shield(self.connecting)


_lock = threading.Lock()
_line: Line | None = None


def describe_step(order_id: str, *, seconds: float) -> LiveStep | None:
    """The step that Temporal has pending for the order; None when it has none or knows no such order."""
    global _line
    with _lock:
        if _line is None:
            _line = Line()
    return _line.describe(order_id, seconds=seconds)


@atexit.register
def _hang_up() -> None:
    if _line is not None:
        _line.close()
        # The client's native threads may touch an interpreter that is being torn down; see process_exit.py.
        time.sleep(0.2)


def _begin_anew() -> None:
    global _lock, _line
    _lock, _line = threading.Lock(), None


os.register_at_fork(after_in_child=_begin_anew)


def _is_step(pending: PendingActivityInfo) -> bool:
    return pending.activity_type.name in STEP_OF_ACTIVITY


def _live(pending: PendingActivityInfo) -> LiveStep:
    return LiveStep(
        step=STEP_OF_ACTIVITY[pending.activity_type.name],
        state=STATES.get(pending.state, LiveState.WAITING),
        attempt=pending.attempt,
        next_attempt_at=_moment(pending.next_attempt_schedule_time),
        gives_up_at=_moment(pending.expiration_time),
        worker=pending.last_worker_identity,
        last_failure=pending.last_failure.application_failure_info.type,
    )


def _moment(stamp: Timestamp) -> datetime | None:
    return stamp.ToDatetime(UTC) if stamp.seconds else None
