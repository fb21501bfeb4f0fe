"""Whoever reaches Temporal's port is not believed: what it sends is refused, and no healthy workflow stops at it.

On the real server, with a worker as ours are built. `Asking` tells what a workflow gets to see (`asking.py`).
"""

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.workflow import Info

from temporal_app import replay
from temporal_app.authenticity import BelievingRunner, Refusal, believed, note
from temporal_app.codec import messages_within
from temporal_app.policies import UNREADABLE
from temporal_app.workflows.order import OrderWorkflow
from tests.stranger import ENVELOPE, REFERENCE, Stranger, plain
from tests.workflows.asking import Asking, Question
from tests.workflows.order_world import OrderWorld, eventually, final, tell, unavailable


@pytest.fixture
def refusals() -> list[Refusal]:
    return []


@pytest.fixture
def client(dev_server: WorkflowEnvironment) -> Client:
    return dev_server.client


@pytest.fixture
def stranger(client: Client) -> Stranger:
    return Stranger(client)


@activity.defn(name="ask")
async def ask(question: Question) -> bool:
    return True


@asynccontextmanager
async def asking(
    client: Client, refusals: list[Refusal], *, times: int = 1, child_queue: str = ""
) -> AsyncIterator[WorkflowHandle[Any, list[str]]]:
    """The workflow, with a worker that does no activities: those the stranger takes."""
    queue = f"asking-{uuid.uuid4()}"
    runner = BelievingRunner(tell=refusals.append, again=timedelta(milliseconds=50))
    async with Worker(client, task_queue=queue, workflows=[Asking], workflow_runner=runner):
        handle = await client.start_workflow(Asking.run, args=[times, child_queue], id=queue, task_queue=queue)
        yield handle
    # Any replay, such as after a deploy, must decide the same.
    history = await handle.fetch_history()

    async def one() -> AsyncIterator[Any]:
        yield history

    assert await replay.replay(one(), workflows=[Asking], server=client) == []


async def payloads_of(client: Client, workflow_id: str) -> list[Payload]:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return [payload for event in history.events for payload in messages_within(event, Payload)]


# --- answers of a worker that is not ours -----------------------------------------------------------------------------
FORGED: dict[str, list[Payload]] = {
    "plain": [plain(b"true")],
    "null": [plain(b"", b"binary/null")],
    "nothing": [],
    "an empty payload": [Payload()],
    "stored elsewhere": [REFERENCE],
}


@pytest.mark.parametrize("answer", FORGED)
async def test_an_activity_with_a_forged_result_is_asked_for_again(
    client: Client, stranger: Stranger, refusals: list[Refusal], answer: str
) -> None:
    async with asking(client, refusals) as handle:
        await stranger.answer(await stranger.activity(handle.id), *FORGED[answer])
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]
    assert [(one.workflow_id, one.what, one.name) for one in refusals] == [(handle.id, "activity", "answer 1")]


async def test_an_envelope_that_the_sdk_opens_past_the_codec_is_refused_too(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    async with asking(client, refusals) as handle:
        await stranger.answer(await stranger.activity(handle.id), ENVELOPE)
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]
    assert [one.reason for one in refusals] == ["A payload came past the codec."]


async def test_arguments_handed_back_and_results_of_another_workflow_are_refused(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    async with asking(client, refusals) as other, Worker(client, task_queue=other.id, activities=[ask]):
        assert await other.result() == ["True"]
    copied = await payloads_of(client, other.id)
    assert len(copied) >= 4
    async with asking(client, refusals) as handle:
        task = await stranger.activity(handle.id)
        await stranger.answer(task, *task.input.payloads)
        for payload in copied:
            await stranger.answer(await stranger.activity(handle.id), payload)
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]
    assert len(refusals) == 1 + len(copied)


async def test_a_cancellation_waits_for_a_step_that_is_asked_for_again(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    """Otherwise its undo would overtake it."""
    async with asking(client, refusals) as handle:
        task = await stranger.activity(handle.id)
        await handle.cancel()
        await eventually(handle, "activity_task_cancel_requested_event_attributes")
        await stranger.answer(task, plain())
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]


def failing(**info: Any) -> Failure:
    failure = Failure(message="Your card was declined")
    for name, fields in info.items():
        getattr(failure, name).SetInParent()
        for field, value in fields.items():
            setattr(getattr(failure, name), field, value)
    return failure


#: what is judged does not depend on it
INFO = cast("Info", SimpleNamespace(workflow_id="order:1", run_id="r"))
DECLINED = {"type": "payment_declined", "non_retryable": True}


async def test_an_activity_with_a_forged_failure_is_asked_for_again(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    async with asking(client, refusals) as handle:
        await stranger.fail(await stranger.activity(handle.id), failing(application_failure_info=DECLINED))
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]
    assert [one.reason for one in refusals] == ["A failure was not written by us."]


@pytest.mark.parametrize("info", ["timeout_failure_info", "canceled_failure_info", "server_failure_info"])
async def test_the_server_takes_no_failure_of_a_worker_that_looks_like_its_own(
    client: Client, stranger: Stranger, info: str
) -> None:
    """What `authenticity` believes without a proof rests on it."""
    async with asking(client, []) as handle:
        task = await stranger.activity(handle.id)
        with pytest.raises(RPCError, match="must have ApplicationFailureInfo"):
            await stranger.fail(task, failing(**{info: {}}))
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            await stranger.answer(task)
            await handle.result()


def resolved(**result: Any) -> WorkflowActivation:
    return WorkflowActivation(jobs=[{"resolve_activity": {"seq": 1, "result": result}}])  # type: ignore[list-item]


INSIDE = {"activity_failure_info": {}}
JUDGED: dict[str, tuple[dict[str, Any], bool]] = {
    "a timeout": ({"failed": {"failure": {**INSIDE, "cause": {"timeout_failure_info": {}}}}}, True),
    "a timeout of a local activity": ({"failed": {"failure": {"timeout_failure_info": {}}}}, True),
    "a cancellation": ({"cancelled": {"failure": {**INSIDE, "cause": {"canceled_failure_info": {}}}}}, True),
    "a cancellation that is a failure": (
        {"failed": {"failure": {**INSIDE, "cause": {"canceled_failure_info": {}}}}},
        False,
    ),
    "the server's refusal": ({"failed": {"failure": {**INSIDE, "cause": {"server_failure_info": {}}}}}, False),
    "one inside another": ({"failed": {"failure": {**INSIDE, "cause": INSIDE}}}, False),
    "words only": ({"failed": {"failure": {"message": "no"}}}, False),
}


@pytest.mark.parametrize("judged", JUDGED)
def test_of_failures_without_a_proof_only_the_servers_own_are_believed(judged: str) -> None:
    result, is_believed = JUDGED[judged]
    act, told = resolved(**result), resolved(**result)
    found = believed(told, INFO, {}, timedelta(seconds=10))
    assert (found == [], told == act) == (is_believed, is_believed)
    assert told.jobs[0].resolve_activity.result.HasField("backoff") is not is_believed


def test_of_a_timeout_the_last_attempts_words_are_not_believed_unless_they_are_ours() -> None:
    forged = {"timeout_failure_info": {}, "cause": {"message": "no", "application_failure_info": DECLINED}}
    act = resolved(failed={"failure": {**INSIDE, "cause": forged}})
    assert believed(act, INFO, {}, timedelta(seconds=10)) == []
    told = act.jobs[0].resolve_activity.result.failed.failure.cause
    assert told.HasField("timeout_failure_info")
    assert told.cause.application_failure_info.type == UNREADABLE


async def test_a_failure_of_ours_is_believed_and_cannot_be_given_another_type(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    @activity.defn(name="ask")
    async def fail(question: Question) -> bool:
        # What is asked second is tried again, by then at the stranger's.
        raise final("partner_down") if question.words == "0" else unavailable()

    async with asking(client, refusals, times=2) as handle:
        async with Worker(client, task_queue=handle.id, activities=[fail]):
            events = await eventually(handle, "activity_task_failed_event_attributes")
        ours = events[0].activity_task_failed_event_attributes.failure
        changed = Failure()
        changed.CopyFrom(ours)
        changed.application_failure_info.type = "payment_declined"
        await stranger.fail(await stranger.activity(handle.id), changed)
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["partner_down", "True"]
    assert [one.reason for one in refusals] == ["A failure was not written by us."]


async def test_a_forged_heartbeat_does_not_end_the_activity(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    async with asking(client, refusals) as handle:
        task = await stranger.activity(handle.id)
        await stranger.heartbeat(task, plain(b"999"))
        # Of a type that is retried, so that the next attempt gets the details.
        await stranger.fail(task, failing(application_failure_info={"type": "any"}))
        async with Worker(client, task_queue=handle.id, activities=[ask]):
            assert await handle.result() == ["True"]


async def test_a_forged_result_of_a_child_is_refused(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    child_queue = f"child-{uuid.uuid4()}"
    async with asking(client, refusals, times=0, child_queue=child_queue) as handle:
        await stranger.complete_workflow(child_queue, plain(b"true"))
        assert await handle.result() == [UNREADABLE]
    assert [one.what for one in refusals] == ["child workflow"]


# --- signals ----------------------------------------------------------------------------------------------------------
async def test_a_forged_signal_is_dropped_and_the_order_goes_on(
    dev_server: WorkflowEnvironment, client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    world = OrderWorld()
    world.holds = [True]
    world.fail("charge_payment", final("on_hold"))
    async with world.order(dev_server, runner=BelievingRunner(tell=refusals.append)) as order:
        await world.happened("settle_hold")
        forged = [plain(b'{"command_id": "1", "kind": "release"}'), Payload(), REFERENCE]
        for payload in forged:
            await stranger.signal(order.id, "command_given", payload)
        await eventually(order, "workflow_execution_signaled_event_attributes", times=len(forged))
        assert world.log.count("settle_hold") == 1
        await tell(order)
        assert (await order.result()).status == "completed"
    assert [(one.what, one.name) for one in refusals] == [("signal", "command_given")] * 3


# --- starts and other people's workflows ------------------------------------------------------------------------------
async def test_a_forged_start_does_nothing_and_ends_nothing(
    client: Client, stranger: Stranger, refusals: list[Refusal]
) -> None:
    world, queue = OrderWorld(), f"order:{uuid.uuid4()}"
    runner = BelievingRunner(tell=refusals.append)
    async with Worker(
        client, task_queue=queue, workflows=[OrderWorkflow], activities=world.activities(), workflow_runner=runner
    ):
        await stranger.start("OrderWorkflow", queue, queue, plain(b'{"order_id":"1","number":"SO-1","customer":"C"}'))
        handle = client.get_workflow_handle(queue)
        await eventually(handle, "workflow_task_failed_event_attributes")
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    assert world.log == []
    await handle.terminate()


async def test_an_activity_that_a_workflow_of_the_strangers_asks_for_is_not_done(
    dev_server: WorkflowEnvironment, client: Client, stranger: Stranger
) -> None:
    """With plain arguments, and with those of an order of ours."""
    ours = OrderWorld()
    async with ours.order(dev_server) as order:
        await order.result()
    copied = [
        payload
        for event in (await order.fetch_history()).events
        for payload in event.activity_task_scheduled_event_attributes.input.payloads
    ]
    assert copied
    world, queue, evil = OrderWorld(), f"queue-{uuid.uuid4()}", f"evil-{uuid.uuid4()}"
    async with Worker(client, task_queue=queue, activities=world.activities()):
        await stranger.start("Evil", evil, evil)
        asked = [plain(b'{"order_id":"1","run_id":"r"}'), *copied]
        await stranger.ask_for(evil, queue, *(("undo_payment", argument) for argument in asked))
        assert set((await stranger.tried(evil)).values()) == {"failed"}
    assert world.log == []
    await client.get_workflow_handle(evil).terminate()


# --- what is told -----------------------------------------------------------------------------------------------------
def test_a_refusal_is_logged_with_the_workflow_and_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "temporal_app.authenticity"):
        note(Refusal(workflow_id="order:1", run_id="r", what="signal", name="command_given", reason="Why."))
    assert caplog.messages == ["Refused from Temporal: signal command_given of order:1 (run r): Why."]
