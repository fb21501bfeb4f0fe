"""A run of any length: it begins new histories on its way, and nobody can tell from what it does."""

from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner

from orders.vocabulary import PlaybookRunStatus as Run
from orders.vocabulary import PlaybookStepStatus as Step
from temporal_app.workflows import waits
from tests.orders.playbooks import note, tag
from tests.workflows.playbook_activities import running
from tests.workflows.playbook_steps import ask, choose, loop, parallel, sub, wait
from tests.workflows.playbook_world import PlaybookWorld, used_up

SUBS = {"other@1": [note("in"), loop(note("deep"), most=4), wait("rest"), note("out")]}


@pytest.fixture(autouse=True)
def short_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    # Outside of the sandbox, which would read the module anew and with it the real limit.
    monkeypatch.setattr(waits, "EVENTS", 25)


async def histories(server: WorkflowEnvironment, handle: WorkflowHandle[Any, Any]) -> list[int]:
    """The length of every history that the run has had."""
    return [
        len((await server.client.get_workflow_handle(handle.id, run_id=one.run_id).fetch_history()).events)
        async for one in server.client.list_workflows(f"WorkflowId = '{handle.id}'")
    ]


async def test_a_run_that_begins_anew_again_and_again_does_every_step_once_and_in_order(
    dev_server: WorkflowEnvironment,
) -> None:
    steps = [
        tag("first"),
        choose("true", [note("a"), note("b"), loop(note("c"), most=3, step_id="l1")], step_id="if1"),
        loop(loop(note("d"), most=2, step_id="l3"), note("e"), most=3, step_id="l2"),
        parallel([note("left"), note("left2")], [loop(note("right"), most=3, step_id="l4")]),
        sub(),
        loop(choose("loop.number == 2", [note("f")], [note("g")], step_id="if2"), most=3, step_id="l5"),
        note("last"),
    ]
    short, plain = (PlaybookWorld.of(*steps, subs=SUBS, hurried=True) for _ in range(2))
    async with running(short, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        assert (await handle.result()).status is Run.COMPLETED
        lengths = await histories(dev_server, handle)
    async with running(plain, dev_server) as handle:
        await handle.result()
    assert len(lengths) >= 3
    assert short.nothing_twice()
    in_parallel = [path for path in short.effects if path.startswith("steps.3.")]
    assert sorted(in_parallel) == sorted(path for path in plain.effects if path.startswith("steps.3."))
    assert [p for p in short.effects if p not in in_parallel] == [p for p in plain.effects if p not in in_parallel]
    assert short.statuses() == plain.statuses()


async def test_what_waits_for_a_person_in_a_long_run_is_answered_as_in_a_short_one(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(loop(note("a"), most=6), ask(), note("fails"), loop(note("b"), most=6, step_id="l2"))
    world.errors["steps.2"] = [used_up()]
    async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        await world.until(lambda: world.statuses().get("steps.1") == "waiting")
        world.answer("steps.1", "yes")
        await world.tell(handle)
        await world.until(lambda: world.statuses().get("steps.2") == "failed")
        world.decide("steps.2", Step.RUNNING)
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
        assert len(await histories(dev_server, handle)) >= 2
    assert world.nothing_twice()
    assert len(world.effects) == 13


@pytest.mark.parametrize("how", ["undo", "cancelled", "cancelled at once"])
async def test_the_undo_of_a_long_run_goes_back_to_its_beginning_and_ends_as_it_began(
    dev_server: WorkflowEnvironment, how: str
) -> None:
    world = PlaybookWorld.of(loop(tag("a"), most=8), tag("b", "two"), note("fails", on_failure="undo"), ask())
    if how == "undo":
        world.errors["steps.2"] = [used_up("it broke")]
    world.undo_errors["steps.0#4.body.0"] = [used_up("the undo broke")]
    async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        if how != "undo":
            await world.until(lambda: world.statuses().get("steps.3") == "waiting")
            if how == "cancelled":
                world.cancel()
            await handle.cancel()
        await world.until(lambda: world.statuses().get("steps.0#4.body.0") == "failed")
        world.decide("steps.0#4.body.0", Step.UNDOING)
        await world.tell(handle)
        try:
            await handle.result()
        except WorkflowFailureError:
            assert how != "undo"
        assert len(await histories(dev_server, handle)) >= 2
    tags = ["steps.1", *(f"steps.0#{number}.body.0" for number in range(8, 0, -1))]
    assert world.undone == tags
    assert world.status is (Run.FAILED if how == "undo" else Run.CANCELLED)


async def test_a_failed_step_that_waits_for_a_person_in_one_run_after_the_other_is_not_tried_unasked(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(note("fails"), note("last"))
    world.errors["steps.0"] = [used_up()]
    async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        await world.until(lambda: world.statuses().get("steps.0") == "failed")
        await look_often(world, handle, "decision_on_playbook_step steps.0")
        assert world.calls.count("run_playbook_step steps.0") == 1
        world.decide("steps.0", Step.RUNNING)
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
        assert len(await histories(dev_server, handle)) >= 2
    assert world.effects == ["steps.0", "steps.1"]


async def test_ways_that_all_wait_begin_a_new_history_together_and_one_at_work_keeps_the_old_one(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(parallel([wait("rest")], [ask()], [note("slow")]))
    world.stop_at("run_playbook_step steps.0.branches.2.0")
    async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        await world.until(lambda: world.statuses().get("steps.0.branches.1.0") == "waiting")
        await look_often(world, handle, "settle_playbook_step steps.0.branches.0.0")
        assert len(await histories(dev_server, handle)) == 1
        world.let_go("run_playbook_step steps.0.branches.2.0")
        await world.until(lambda: "steps.0.branches.2.0" in world.effects)
        await look_often(world, handle, "settle_playbook_step steps.0.branches.0.0")
        world.answer("steps.0.branches.1.0", "yes")
        world.rows["steps.0.branches.0.0"].deadline = await dev_server.get_current_time()
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
        assert len(await histories(dev_server, handle)) >= 2
    assert world.effects == ["steps.0.branches.2.0"]


async def test_an_undo_that_waits_for_a_person_in_one_run_after_the_other_is_not_tried_unasked(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(tag("a"), note("fails", on_failure="undo"))
    world.errors["steps.1"] = [used_up("it broke")]
    world.undo_errors["steps.0"] = [used_up("the undo broke")]
    async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
        await world.until(lambda: world.statuses().get("steps.0") == "failed")
        await look_often(world, handle, "decision_on_playbook_step steps.0")
        assert world.calls.count("undo_playbook_step steps.0") == 1
        world.decide("steps.0", Step.UNDOING)
        await world.tell(handle)
        assert (await handle.result()).status is Run.FAILED
        assert len(await histories(dev_server, handle)) >= 2
    assert world.undone == ["steps.0"]


async def look_often(world: PlaybookWorld, handle: WorkflowHandle[Any, Any], question: str) -> None:
    """Tell the run until it has looked a dozen times more, one look after the other."""
    for _ in range(12):
        looked = world.calls.count(question)
        await world.tell(handle)
        await world.until(lambda looked=looked: world.calls.count(question) > looked)  # type: ignore[misc]
