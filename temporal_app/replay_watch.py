"""Watches where in our code a replayed workflow waits.

When a replay fails, the engine has already thrown the workflow away. So its position is kept after each of its tasks;
without this a failure says "activity A does not match activity B" and leaves the search to whoever is on call.
"""

import asyncio
import re
import sysconfig
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowInterceptorClassInput,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from temporal_app.authenticity import BelievingRunner

CHECKOUT = Path(__file__).resolve().parents[1]
#: where a step waits is told by who asked for it
STEPS = "temporal_app/workflows/steps.py"
NOT_OURS = ("site-packages", sysconfig.get_path("stdlib"), __file__, "workflow_sandbox.py", STEPS)
#: one frame of a stack trace as Python prints it
FRAME = re.compile(r'File "([^"]+)", line (\d+), in (\w+)')
Frame = tuple[str, int, str]


@dataclass
class Watch(Interceptor):
    """Positions by run id. An interceptor, because each workflow is an event loop that only its own code can name."""

    loops: dict[str, asyncio.AbstractEventLoop] = field(default_factory=dict)
    #: for each branch that waits its frames, innermost first
    seen: dict[str, list[list[Frame]]] = field(default_factory=dict)

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        loops = self.loops

        class Noting(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                loops[workflow.info().run_id] = asyncio.get_running_loop()
                return await super().execute_workflow(input)

        return Noting

    def note(self, act: WorkflowActivation, completion: WorkflowActivationCompletion) -> None:
        if completion.HasField("failed"):
            trace = completion.failed.failure.stack_trace
            frames = [(file, int(line), name) for file, line, name in FRAME.findall(trace)]
            self.seen[act.run_id] = [_ours(reversed(frames))]
            self.loops.pop(act.run_id, None)
        elif any(job.HasField("remove_from_cache") for job in act.jobs):
            self.loops.pop(act.run_id, None)
        elif loop := self.loops.get(act.run_id):
            waiting = [task.get_coro() for task in asyncio.all_tasks(loop)]
            self.seen[act.run_id] = [_ours(reversed(_frames(coroutine))) for coroutine in waiting]

    def position(self, run_id: str) -> list[str]:
        """For each branch that waits: where, called from where."""
        branches = {" < ".join(map(_told, frames)): None for frames in self.seen.get(run_id, []) if frames}
        return sorted(branches)


@dataclass(frozen=True)
class WatchedRunner(BelievingRunner):
    """The workers' own sandbox, watched after every task."""

    watch: Watch = field(default_factory=Watch)
    #: for recorded histories, which are in the clear
    believes_all: bool = False

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        sandbox = SandboxedWorkflowRunner.create_instance
        instance = sandbox(self, det) if self.believes_all else super().create_instance(det)
        activate = instance.activate

        def activate_and_note(act: WorkflowActivation) -> WorkflowActivationCompletion:
            completion = activate(act)
            self.watch.note(act, completion)
            return completion

        instance.activate = activate_and_note  # type: ignore[method-assign]
        return instance


def _frames(coroutine: Any) -> list[Frame]:
    """A suspended coroutine's frames, outermost first; asyncio itself tells only the outermost."""
    frames = []
    while isinstance(coroutine, Coroutine) and getattr(coroutine, "cr_frame", None) is not None:
        frame = coroutine.cr_frame  # type: ignore[attr-defined]
        frames.append((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name))
        coroutine = coroutine.cr_await  # type: ignore[attr-defined]
    return frames


def _ours(frames: Any) -> list[Frame]:
    return [frame for frame in frames if not any(part in frame[0] for part in NOT_OURS)]


def _told(frame: Frame) -> str:
    file, line, name = frame
    path = Path(file)
    shown = path.relative_to(CHECKOUT) if path.is_relative_to(CHECKOUT) else path
    return f"{shown}:{line} ({name})"
