"""What a run of a playbook does: each kind of step, each way to fail, and what people may do meanwhile."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from orders.vocabulary import PlaybookRunStatus as Run
from orders.vocabulary import PlaybookStepStatus as Step
from tests.orders.playbooks import note, tag
from tests.workflows.playbook_activities import running
from tests.workflows.playbook_steps import DAY, KINDS, SUBS, ask, choose, loop, parallel, sub, wait
from tests.workflows.playbook_world import PlaybookWorld, used_up


@pytest.mark.parametrize("kind", KINDS)
async def test_each_kind_of_step_does_what_it_says_once_and_the_run_goes_on_behind_it(
    dev_server: WorkflowEnvironment, kind: str
) -> None:
    step, does = KINDS[kind]
    world = PlaybookWorld.of(step, note("last"), subs=SUBS, hurried=True)
    async with running(world, dev_server) as handle:
        result = await handle.result()
    assert result.status is Run.COMPLETED
    assert world.effects[-1] == "steps.1"
    assert sorted(world.effects[:-1]) == does
    assert set(world.statuses().values()) == {"done"}


async def test_a_wait_ends_when_its_time_has_passed_and_a_question_with_its_default(
    skipping: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(wait(seconds=3 * DAY), ask(deadline_seconds=DAY), note("last"))
    began = await skipping.get_current_time()
    async with running(world, skipping) as handle:
        result = await handle.result()
    assert (result.status, world.effects) == (Run.COMPLETED, ["steps.2"])
    assert await skipping.get_current_time() - began >= timedelta(days=4)


async def test_a_question_is_over_when_a_person_answered_and_a_wait_when_its_condition_holds(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(wait(until="true"), ask(), note("last"))
    async with running(world, dev_server) as handle:
        await world.until(lambda: world.statuses().get("steps.1") == "waiting")
        world.answer("steps.1", "yes")
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED


async def test_an_attempt_that_may_be_followed_by_another_is(dev_server: WorkflowEnvironment) -> None:
    world = PlaybookWorld.of(note("one"))
    soon = ApplicationError("not now", type="wrong_state", next_retry_delay=timedelta(milliseconds=1))
    world.errors["steps.0"] = [soon, soon]
    async with running(world, dev_server) as handle:
        assert (await handle.result()).status is Run.COMPLETED
    assert (world.calls.count("run_playbook_step steps.0"), world.effects) == (3, ["steps.0"])


@pytest.mark.parametrize(
    ("on_failure", "status", "effects", "undone"),
    [
        ("stop", Run.FAILED, ["steps.0"], []),
        ("continue", Run.COMPLETED, ["steps.0", "steps.2"], []),
        ("undo", Run.FAILED, ["steps.0"], ["steps.0"]),
    ],
)
async def test_a_step_that_used_its_attempts_does_what_its_definition_says(
    dev_server: WorkflowEnvironment, on_failure: str, status: Run, effects: list[str], undone: list[str]
) -> None:
    world = PlaybookWorld.of(tag("first"), note("fails", on_failure=on_failure), note("last"))
    world.errors["steps.1"] = [used_up("the printer burns")]
    async with running(world, dev_server) as handle:
        result = await handle.result()
    assert (result.status, world.effects, world.undone) == (status, effects, undone)
    assert world.rows["steps.1"].status is Step.GIVEN_UP
    assert world.message == ("" if on_failure == "continue" else "the printer burns")


@pytest.mark.parametrize(
    ("step", "at"),
    [
        (note("fails"), "steps.0"),
        (choose("1 / 0 == 1", [note("yes")]), "steps.0"),
        (loop(note("n"), condition="1 / 0 == 1"), "steps.0"),
        (wait(until="1 / 0 == 1"), "steps.0"),
        (parallel([note("fails")], [note("works")]), "steps.0.branches.0.0"),
        (sub(), "steps.0/steps.0"),
    ],
    ids=["activity", "conditional", "loop", "wait", "parallel", "sub-playbook"],
)
async def test_a_step_that_fails_waits_for_a_person_who_may_leave_it_out(
    dev_server: WorkflowEnvironment, step: dict[str, Any], at: str
) -> None:
    world = PlaybookWorld.of(step, note("last"), subs=SUBS)
    world.errors[at] = [used_up()]
    async with running(world, dev_server) as handle:
        await world.until(lambda: f"decision_on_playbook_step {at}" in world.calls)
        assert (world.status, world.rows[at].status) == (Run.PARKED, Step.FAILED)
        world.decide(at, Step.SKIPPED)
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
    assert at not in world.effects
    assert world.effects[-1] == "steps.1"


async def test_a_step_that_is_retried_is_done_and_one_that_fails_again_waits_again(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(note("fails"), note("last"))
    world.errors["steps.0"] = [used_up(), used_up()]
    async with running(world, dev_server) as handle:
        for times in (1, 2):
            await world.until(lambda times=times: world.calls.count("fail_playbook_step steps.0") == times)  # type: ignore[misc]
            await world.until(lambda: world.rows["steps.0"].status is Step.FAILED)
            world.decide("steps.0", Step.RUNNING)
            await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
    assert world.effects == ["steps.0", "steps.1"]


async def test_a_way_that_fails_stops_its_siblings_and_what_is_under_way_is_awaited(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(
        parallel([note("fails", on_failure="undo")], [tag("slow"), note("never")], [wait()], [ask()]), note("last")
    )
    slow = "steps.0.branches.1.0"
    world.stop_at(f"run_playbook_step {slow}")
    world.errors["steps.0.branches.0.0"] = [used_up()]
    async with running(world, dev_server) as handle:
        await world.reached(f"run_playbook_step {slow}")
        await world.until(lambda: "fail_playbook_step steps.0.branches.0.0" in world.calls)
        assert "begin_playbook_undo" not in world.calls
        world.let_go(f"run_playbook_step {slow}")
        result = await handle.result()
    assert (result.status, world.effects, world.undone) == (Run.FAILED, [slow], [slow])


@pytest.mark.parametrize(
    ("sibling", "call"),
    [
        (wait(), "settle_playbook_step"),
        (ask(), "settle_playbook_step"),
        (note("parks"), "fail_playbook_step"),
        (choose("1 / 0 == 1", [note("yes")]), "fail_playbook_step"),
    ],
    ids=["wait", "ask", "parked activity", "parked condition"],
)
async def test_a_sibling_that_is_just_about_to_wait_does_not_keep_a_run_that_has_failed(
    dev_server: WorkflowEnvironment, sibling: dict[str, Any], call: str
) -> None:
    failing, other = "steps.0.branches.0.0", "steps.0.branches.1.0"
    world = PlaybookWorld.of(parallel([note("fails", on_failure="stop")], [sibling]))
    world.stop_at(f"run_playbook_step {failing}")
    world.stop_at(f"{call} {other}")
    world.errors.update({failing: [used_up()], other: [used_up()]})
    async with running(world, dev_server) as handle:
        await world.reached(f"{call} {other}")
        world.let_go(f"run_playbook_step {failing}")
        await world.until(lambda: f"fail_playbook_step {failing}" in world.calls)
        world.let_go(f"{call} {other}")
        result = await asyncio.wait_for(handle.result(), 30)
    assert result.status is Run.FAILED
    assert {"done", "given_up"} >= set(world.statuses().values())


@pytest.mark.parametrize("kind", KINDS)
async def test_a_paused_run_begins_nothing_and_goes_on_when_it_is_resumed(
    dev_server: WorkflowEnvironment, kind: str
) -> None:
    step, does = KINDS[kind]
    world = PlaybookWorld.of(note("first"), step, note("last"), subs=SUBS, hurried=True)
    world.stop_at("run_playbook_step steps.0")
    async with running(world, dev_server) as handle:
        await world.reached("run_playbook_step steps.0")
        world.pause()
        world.let_go("run_playbook_step steps.0")
        await world.until(lambda: "playbook_stands_still" in world.calls)
        assert world.effects == ["steps.0"]
        world.resume()
        await world.tell(handle)
        assert (await handle.result()).status is Run.COMPLETED
    assert len(world.effects) == len(does) + 2
    assert world.nothing_twice()


#: a call inside of each kind of step, at which somebody cancels
INSIDE = {
    "activity": (note("one"), "run_playbook_step steps.1"),
    "parallel": (parallel([tag("l")], [tag("r", "two")]), "run_playbook_step steps.1.branches.1.0"),
    "conditional": (choose("true", [tag("yes")]), "decide_playbook_step steps.1"),
    "loop": (loop(tag("n")), "next_playbook_round steps.1"),
    "wait": (wait(), "settle_playbook_step steps.1"),
    "ask": (ask(), "settle_playbook_step steps.1"),
    "sub-playbook": (sub(), "run_playbook_step steps.1/steps.0"),
    "parked": (note("fails"), "decision_on_playbook_step steps.1"),
    "the last one": (note("one"), "end_playbook"),
}


@pytest.mark.parametrize("kind", INSIDE)
async def test_a_run_that_is_cancelled_anywhere_takes_back_in_reverse_what_it_did(
    dev_server: WorkflowEnvironment, kind: str
) -> None:
    step, call = INSIDE[kind]
    world = PlaybookWorld.of(tag("first"), step, subs=SUBS)
    if kind == "parked":
        world.errors["steps.1"] = [used_up()]
    world.stop_at(call)
    async with running(world, dev_server) as handle:
        await world.reached(call)
        world.cancel()
        await handle.cancel()
        world.let_go(call)
        with suppress(WorkflowFailureError):
            await handle.result()
    assert world.status is Run.CANCELLED
    with_undo = [path for path in world.effects if world.rows[path].step.undo is not None]  # type: ignore[union-attr]
    assert world.undone == with_undo[::-1]
    assert "steps.0" in world.undone
    assert {"undone", "given_up", "done"} >= set(world.statuses().values())


@pytest.mark.parametrize(
    ("decision", "undone"),
    [(Step.UNDOING, ["steps.2", "steps.1", "steps.0"]), (Step.SKIPPED, ["steps.2", "steps.0"])],
)
async def test_an_undo_that_fails_waits_for_a_person_and_the_others_follow(
    dev_server: WorkflowEnvironment, decision: Step, undone: list[str]
) -> None:
    steps = [tag("one"), tag("two", "two"), tag("three", "three")]
    world = PlaybookWorld.of(*steps, note("fails", on_failure="undo"))
    world.errors["steps.3"] = [used_up("it does not work")]
    world.undo_errors["steps.1"] = [used_up("the undo does not work either")]
    async with running(world, dev_server) as handle:
        await world.until(lambda: "decision_on_playbook_step steps.1" in world.calls)
        assert (world.status, world.undone) == (Run.UNDOING, ["steps.2"])
        world.decide("steps.1", decision)
        await world.tell(handle)
        result = await handle.result()
    assert (result.status, world.undone, world.message) == (Run.FAILED, undone, "it does not work")


async def test_a_cancellation_in_temporal_alone_is_obeyed_too_and_one_after_the_end_changes_nothing(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(tag("first"), wait())
    async with running(world, dev_server) as handle:
        await world.until(lambda: world.statuses().get("steps.1") == "waiting")
        await handle.cancel()
        with pytest.raises(WorkflowFailureError):
            await handle.result()
    assert (world.status, world.undone) == (Run.CANCELLED, ["steps.0"])
    world.calls.clear()
    async with running(world, dev_server) as again:
        await again.result()
    assert (world.status, world.undone) == (Run.CANCELLED, ["steps.0"])


async def test_a_run_that_has_completed_is_not_undone_by_a_process_that_begins_anew(
    dev_server: WorkflowEnvironment,
) -> None:
    world = PlaybookWorld.of(tag("first"))
    for _ in range(2):
        async with running(world, dev_server) as handle:
            assert (await handle.result()).status is Run.COMPLETED
    assert (world.effects, world.undone) == (["steps.0"], [])
