"""What Temporal answers to a message that it cannot take: not there, refused for good, or only not now."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from orders.services import dead_letters, reviving
from orders.vocabulary import Topic
from temporal_app import relay, starter
from temporal_app.payloads import OrderInput
from temporal_app.search_attributes import REQUIRED
from temporal_app.workflow_ids import order_workflow_id
from tests.workflows.conftest import PROGRAMS

MOST_SIGNALS = 2


@pytest.fixture
async def strict_server() -> AsyncIterator[WorkflowEnvironment]:
    """Temporal as it is after ten thousand signals to one workflow, with a lower limit."""
    environment = await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(PROGRAMS / "temporal"),
        dev_server_log_level="error",
        dev_server_extra_args=["--dynamic-config-value", f"history.maximumSignalsPerExecution={MOST_SIGNALS}"],
        search_attributes=REQUIRED,
    )
    async with environment:
        yield environment


def body() -> dict[str, Any]:
    ids = {name: str(uuid.uuid4()) for name in ("order_id", "command_id", "feed_id", "run_id")}
    return {**ids, "number": "SO-1", "customer": "guest", "kind": "hold"}


#: those that Temporal answers with "no such workflow"
WAKES = sorted(dead_letters.OPEN)


@pytest.mark.parametrize("topic", WAKES)
async def test_a_message_to_a_process_that_temporal_does_not_have_says_so(
    dev_server: WorkflowEnvironment, topic: Topic
) -> None:
    with pytest.raises(starter.NotThere):
        await relay.DELIVER[topic](dev_server.client, body())


async def test_a_process_that_an_operator_terminated_is_not_there_either(dev_server: WorkflowEnvironment) -> None:
    order = body()
    await starter.start_order(dev_server.client, order)
    await dev_server.client.get_workflow_handle(order_workflow_id(order["order_id"])).terminate("By mistake")
    for tell in (starter.tell_order, starter.cancel_order):
        with pytest.raises(starter.NotThere):
            await tell(dev_server.client, order)


@pytest.mark.parametrize(("again", "undos"), [(False, 0), (True, 3)])
async def test_an_order_that_is_started_again_undoes_what_any_run_before_may_have_done(
    dev_server: WorkflowEnvironment, again: bool, undos: int
) -> None:
    order = body() | ({reviving.AGAIN: True} if again else {})
    await starter.start_order(dev_server.client, order)
    client, name = dev_server.client, order_workflow_id(order["order_id"])
    history = await client.get_workflow_handle(name).fetch_history()
    given = history.events[0].workflow_execution_started_event_attributes.input.payloads
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=name)
    (started,) = await client.data_converter.with_context(context).decode(given, [OrderInput])
    assert started.undos == undos


@pytest.mark.parametrize("tell", [starter.tell_order, starter.cancel_order])
async def test_a_namespace_that_is_gone_is_no_process_that_is_gone(
    dev_server: WorkflowEnvironment, tell: Callable[[Client, dict[str, Any]], Awaitable[None]]
) -> None:
    elsewhere = await Client.connect(dev_server.client.service_client.config.target_host, namespace="never-made")
    with pytest.raises(RPCError) as answer:
        await tell(elsewhere, body())
    assert answer.value.status is RPCStatusCode.NOT_FOUND
    assert not relay.is_refused(answer.value), "it is tried again until the namespace is there"


async def test_a_workflow_that_has_had_its_signals_refuses_the_next_for_good_and_takes_its_cancellation(
    strict_server: WorkflowEnvironment,
) -> None:
    client, order = strict_server.client, body()
    await starter.start_order(client, order)
    for _ in range(MOST_SIGNALS):
        await starter.tell_order(client, order)
    with pytest.raises(RPCError) as answer:
        await starter.tell_order(client, order)
    assert relay.is_refused(answer.value)
    await starter.cancel_order(client, order)
    found = await client.get_workflow_handle(order_workflow_id(order["order_id"])).describe()
    assert found.status is WorkflowExecutionStatus.RUNNING
    assert found.raw_description.workflow_extended_info.cancel_requested


async def test_a_message_that_is_too_large_is_refused_for_good(dev_server: WorkflowEnvironment) -> None:
    order = body()
    await starter.start_order(dev_server.client, order)
    with pytest.raises(RPCError) as answer:
        await starter.tell_order(dev_server.client, {**order, "kind": "x" * 3_000_000})
    assert relay.is_refused(answer.value)
