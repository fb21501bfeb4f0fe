"""Sends each activity to the queue that lists it in the registry, whichever workflow asks for it.

So no call of an activity can forget its lane. To which queue an activity was sent is no part of what a replay compares:
what was asked for before an activity moved is done where it was sent, as long as that queue serves it too.
"""

from collections.abc import Mapping
from typing import Any

from temporalio import workflow
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from temporal_app.registry import REGISTRY
from temporal_app.task_queues import LANE_THREADS, TaskQueue

#: of each activity that only a lane lists
LANE_OF: Mapping[str, TaskQueue] = {
    function.__name__: queue
    for queue in LANE_THREADS
    for function in REGISTRY[queue].activities
    if not any(function in contents.activities for contents in REGISTRY.values() if contents.workflows)
}


class Lanes(Interceptor):
    """For workers of our own queues; a test's worker on another one keeps its activities to itself."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Outbound(outbound))


class _Outbound(WorkflowOutboundInterceptor):
    def start_activity(self, input: StartActivityInput) -> workflow.ActivityHandle[Any]:
        if input.task_queue is None:
            input.task_queue = LANE_OF.get(input.activity)
        return super().start_activity(input)
