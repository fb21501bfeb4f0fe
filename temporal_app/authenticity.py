"""What a workflow is told: nothing that anybody but our own processes can have written.

Whoever reaches Temporal's port can send signals to our workflows and answer their activities from a worker of its own.
The codec refuses such payloads, and the SDK then does what hurts most: a workflow with one in its history fails its
task, again and again. So between the codec and the workflow

- a refused signal is dropped, and one that its handler cannot be called with, at which the SDK stops the workflow too.
  Signals only wake; what they announce stands in the database. So of those that are alike in one workflow task only the
  first is passed on: ten thousand, which the server takes while workers are away, would take longer than a task may;
- an activity that was answered with a refused result, with none at all (ours always has one), or with a failure that we
  did not write, is asked for again: it may have been done or not, which its fence finds out. The workflow hears nothing
  of it. Temporal retries nothing that has an answer, so the SDK is told "back off", as the engine does for local
  activities: it waits, and schedules the activity anew;
- a child workflow cannot be asked for again: its refused answer is a failure of the type `policies.UNREADABLE`.

It depends on the history alone, so a replay decides the same. A start that is refused stays as it is: its task fails
until somebody ends it, since a wrong configuration of ours looks no different.

Three things have no payload, so no proof either, and reach the workflow: a cancellation, a signal without arguments,
and a timeout. What they may cause is for the database to say.
"""

import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.activity_result import ActivityResolution, DoBackoff
from temporalio.bridge.proto.child_workflow import ChildWorkflowResult
from temporalio.bridge.proto.workflow_activation import SignalWorkflow, WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.runtime import Runtime
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner
from temporalio.workflow import Info

from temporal_app.codec import refused
from temporal_app.conversion import vouched
from temporal_app.policies import UNREADABLE

logger = logging.getLogger(__name__)
#: what the server and the engine write themselves, so nobody vouches for it
SERVERS_OWN = {"timeout_failure_info", "terminated_failure_info"}
CAUSES_OF_THE_SERVER = SERVERS_OWN | {"canceled_failure_info"}
#: around the failure that a worker gave
WRAPPERS = {"activity_failure_info", "child_workflow_execution_failure_info"}
#: refused signals of one workflow task of which somebody hears
MOST_TOLD = 100
#: of a dataclass as JSON, the beginning with the name of its first field
KIND_BYTES = 15
NO_ANSWER = "There is an answer, and nothing in it; ours is never empty."
NOT_OURS = "A failure was not written by us."


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Something that was kept from a workflow."""

    workflow_id: str
    run_id: str
    #: "signal", "activity" or "child workflow"
    what: str
    #: of the signal, or which answer, as the workflow counts them
    name: str
    reason: str


def note(refusal: Refusal) -> None:
    """Log it, and count it in the SDK's metrics."""
    logger.warning(
        "Refused from Temporal: %s %s of %s (run %s): %s",
        refusal.what,
        refusal.name,
        refusal.workflow_id,
        refusal.run_id,
        refusal.reason,
    )
    meter = Runtime.default().metric_meter
    counter = meter.create_counter("backoffice_refused", "Signals and answers that nobody of ours wrote")
    counter.add(1, {"what": refusal.what})


@dataclass(frozen=True)
class BelievingRunner(SandboxedWorkflowRunner):
    """The SDK's sandbox; each workflow in it is told only what `believed` leaves."""

    tell: Callable[[Refusal], None] = note
    #: long enough that a history survives a day of refused answers
    again: timedelta = timedelta(seconds=10)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        instance = super().create_instance(det)
        activate = instance.activate

        def activate_believing(act: WorkflowActivation) -> WorkflowActivationCompletion:
            found = believed(act, det.info, det.defn.signals, self.again)
            if not act.is_replaying:
                for refusal in found:
                    self.tell(refusal)
            return activate(act)

        instance.activate = activate_believing  # type: ignore[method-assign]
        return instance


def believed(act: WorkflowActivation, info: Info, signals: Mapping[str | None, Any], again: timedelta) -> list[Refusal]:
    """Change the activation to what may be believed; answers what was changed.

    `signals` are the SDK's definitions by name; an activity is asked for anew after `again`.
    """
    found: list[Refusal] = []

    def refuse(what: str, name: str, reason: str) -> None:
        found.append(Refusal(workflow_id=info.workflow_id, run_id=info.run_id, what=what, name=name, reason=reason))

    kept, woken = [], set()
    for job in act.jobs:
        if job.HasField("signal_workflow"):
            given = job.signal_workflow
            reason = _first_reason(given.input)
            if not reason:
                if _likeness(given) in woken:
                    continue
                woken.add(_likeness(given))
                known = signals.get(given.signal_name)
                reason = "" if known is None else _misfit(known.fn, len(given.input))
            if reason:
                if len(found) < MOST_TOLD:
                    refuse("signal", given.signal_name, reason)
                continue
        elif job.HasField("resolve_activity"):
            if reason := _doubt(job.resolve_activity.result):
                refuse("activity", f"answer {job.resolve_activity.seq}", reason)
                back_off = DoBackoff(attempt=1, original_schedule_time=act.timestamp)
                back_off.backoff_duration.FromTimedelta(again)
                job.resolve_activity.result.backoff.CopyFrom(back_off)
        elif job.HasField("resolve_child_workflow_execution"):
            child = job.resolve_child_workflow_execution
            if reason := _doubt(child.result):
                refuse("child workflow", f"answer {child.seq}", reason)
                failure = child.result.failed.failure
                failure.Clear()
                failure.message = "An answer was refused"
                failure.child_workflow_execution_failure_info.SetInParent()
                _make_unreadable(failure.cause, reason)
        kept.append(job)
    if len(kept) < len(act.jobs):
        del act.jobs[:]
        act.jobs.extend(kept)
    return found


def _likeness(given: SignalWorkflow) -> tuple[object, ...]:
    """Its name, and of each argument what tells an input of one kind from one of another."""
    return (given.signal_name, *(payload.data[:KIND_BYTES] for payload in given.input))


def _misfit(handler: Callable[..., Any], count: int) -> str:
    """Why a handler cannot be called with so many arguments; empty when it can."""
    try:
        inspect.signature(handler).bind(None, *[None] * count)
    except TypeError as error:
        return f"It came with {count} arguments: {error}."
    return ""


def _doubt(result: ActivityResolution | ChildWorkflowResult) -> str:
    """Why an answer must not be believed, or empty. Causes of a believed failure are believed too, or replaced."""
    if result.HasField("completed"):
        return refused(result.completed.result) if result.completed.HasField("result") else NO_ANSWER
    if not result.HasField("failed"):
        # That it was cancelled says the server itself; and a step that backs off has no answer yet.
        return ""
    failure = result.failed.failure
    given = failure.cause if failure.WhichOneof("failure_info") in WRAPPERS else failure
    if given.WhichOneof("failure_info") not in SERVERS_OWN and not vouched(given):
        return NOT_OURS
    _scrub_causes(given)
    return ""


def _scrub_causes(failure: Failure) -> None:
    """Of a timeout the cause is what the last attempt said, whoever made it."""
    if not failure.HasField("cause"):
        return
    if failure.cause.WhichOneof("failure_info") not in CAUSES_OF_THE_SERVER and not vouched(failure.cause):
        _make_unreadable(failure.cause, NOT_OURS)
    _scrub_causes(failure.cause)


def _first_reason(payloads: Iterable[Payload]) -> str:
    return next(filter(None, map(refused, payloads)), "")


def _make_unreadable(failure: Failure, reason: str) -> None:
    failure.Clear()
    failure.message = reason
    failure.application_failure_info.type = UNREADABLE
