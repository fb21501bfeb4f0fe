"""Whatever a signal brings, it wakes its workflow or does nothing: every workflow of the registry that has a signal."""

import dataclasses
import inspect
import uuid
from enum import Enum
from typing import Any, get_args, get_type_hints

import pytest
from temporalio import workflow
from temporalio.client import WorkflowExecutionStatus
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import FailureType
from temporal_app.authenticity import BelievingRunner, Refusal
from temporal_app.payloads import CommandGiven
from temporal_app.registry import REGISTRY
from temporal_app.workflows.waits import Wakes
from tests.stranger import REFERENCE, Stranger, plain
from tests.workflows.answers import Answers
from tests.workflows.order_world import OrderWorld, eventually, final

WORKFLOWS = [one for contents in REGISTRY.values() for one in contents.workflows]
SIGNALS = [
    (one, name) for one in WORKFLOWS for name in workflow._Definition.must_from_class(one).signals if name is not None
]
CASES = pytest.mark.parametrize(("cls", "name"), SIGNALS, ids=[f"{one.__name__}.{name}" for one, name in SIGNALS])


def made_up(kind: Any) -> Any:
    """A value of that type, whatever it says."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        needed = [
            one.name
            for one in dataclasses.fields(kind)
            if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
        ]
        return kind(**{name: made_up(hints[name]) for name in needed})  # type: ignore[operator]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return {str: "1", int: 1, bool: True}[get_args(kind)[0] if get_args(kind) else kind]


def input_of(cls: Any) -> Any:
    [parameter] = [one for one in inspect.signature(cls.run).parameters if one != "self"]
    return made_up(get_type_hints(cls.run)[parameter])


@CASES
def test_a_signal_takes_any_arguments(cls: type, name: str) -> None:
    handler = workflow._Definition.must_from_class(cls).signals[name].fn
    for count in range(4):
        inspect.signature(handler).bind(None, *[None] * count)


@CASES
async def test_no_signal_stops_the_workflow(dev_server: WorkflowEnvironment, cls: type, name: str) -> None:
    """Its first step fails for as long as the test runs, so it is there to be told."""
    stranger, refusals = Stranger(dev_server.client), list[Refusal]()
    runner = BelievingRunner(tell=refusals.append)
    async with Answers({}).running(dev_server, cls, input_of(cls), runner=runner) as handle:
        [begun, *_] = (await handle.fetch_history()).events
        own = begun.workflow_execution_started_event_attributes.input.payloads[0]
        for payloads in ([], [own], [own, own], [plain(b"junk")], [plain(), plain()], [REFERENCE]):
            await stranger.signal(handle.id, name, *payloads)
        await handle.signal(name)
        await handle.signal(name, args=[1, "two", None])
        await handle.signal("no_such_signal", args=[1])
        await stranger.settled(handle.id)
        found = await handle.describe()
        events = (await handle.fetch_history()).events
        await handle.terminate()
    assert found.status is WorkflowExecutionStatus.RUNNING
    assert not any(event.HasField("workflow_task_failed_event_attributes") for event in events)
    assert {one.what for one in refusals} == {"signal"}


@pytest.mark.parametrize("given", [[], [1], ["two", {"a": 3}]], ids=["nothing", "a number", "two of them"])
async def test_an_order_on_hold_looks_whatever_its_signal_brings(
    dev_server: WorkflowEnvironment, given: list[Any]
) -> None:
    world = OrderWorld()
    world.fail("ship_order", final(FailureType.ON_HOLD))
    world.holds = [True]
    async with world.order(dev_server) as order:
        await world.happened("settle_hold")
        await eventually(order, "timer_started_event_attributes")
        await order.signal("command_given", args=given)
        assert (await order.result()).status == "completed"


def test_what_an_earlier_version_dropped_does_not_wake_a_history_of_its(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workflow, "patched", lambda name: False)
    order, other = Wakes("command_id", "kind"), Wakes()
    usual = dataclasses.asdict(CommandGiven(command_id=str(uuid.uuid4()), kind="hold"))
    for given in ([], [usual, usual], [1], [{"order_id": "1"}]):
        order.come(given)
    other.come([usual])
    assert (order.told, other.told) == (0, 0)
    order.come([usual])
    other.come([])
    assert (order.told, other.told) == (1, 1)
