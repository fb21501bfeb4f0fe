"""Any playbook that may be saved runs to an end within its bounds, whatever fails and whatever people decide.

The documents are drawn from the bounds of the pydantic models themselves; the activities stand in for the services.
"""

from __future__ import annotations

from typing import Any

import annotated_types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from temporalio.client import WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner

from orders.playbooks import definition as models
from orders.playbooks import validation, worst_case
from orders.playbooks.definition import Definition, OnFailure
from orders.vocabulary import ENDED_PLAYBOOK_RUNS
from orders.vocabulary import PlaybookRunStatus as Run
from orders.vocabulary import PlaybookStepStatus as Step
from temporal_app.workflows import waits
from tests.orders.playbooks import document
from tests.workflows.playbook_activities import running
from tests.workflows.playbook_world import PlaybookWorld, used_up

#: steps that one example may do at most
MOST = 40


def numbers(model: Any, name: str) -> st.SearchStrategy[int]:
    """Any number that the field takes, its two ends often."""
    least = most = None
    for rule in model.model_fields[name].metadata:
        least = rule.ge if isinstance(rule, annotated_types.Ge) else least
        most = rule.le if isinstance(rule, annotated_types.Le) else most
    assert least is not None
    assert most is not None
    return st.sampled_from([least, most]) | st.integers(least, most)


def lengths(model: Any, name: str) -> tuple[int, int | None]:
    least, most = 0, None
    for rule in model.model_fields[name].metadata:
        least = rule.min_length if isinstance(rule, annotated_types.MinLen) else least
        most = rule.max_length if isinstance(rule, annotated_types.MaxLen) else most
    return least, most


CONDITIONS = st.sampled_from(["true", "false", "1 < 2", "1 / 0 == 1"])
ROUNDS = st.sampled_from(["loop.number < 3", "loop.number <= 1", "false", "loop.number / (loop.number - 2) < 9"])
TAG = {"activity": "add_tag", "parameters": {"tag": "vip"}}
ACTIVITY = st.fixed_dictionaries(
    {
        "type": st.just("activity"),
        "timeout_seconds": numbers(models.ActivityStep, "timeout_seconds"),
        "attempts": numbers(models.ActivityStep, "attempts"),
        "on_failure": st.sampled_from(list(OnFailure)).map(str),
        "undo": st.sampled_from([None, {"activity": "remove_tag", "parameters": {"tag": "vip"}}]),
    }
).map(lambda found: {**TAG, **found})
WAIT = st.fixed_dictionaries(
    {
        "type": st.just("wait"),
        "seconds": numbers(models.WaitStep, "seconds"),
        "until": st.none() | CONDITIONS,
        "every_seconds": numbers(models.WaitStep, "every_seconds"),
    }
)
OPTIONS = st.lists(
    st.sampled_from("abcdefg"),
    min_size=lengths(models.AskStep, "options")[0],
    max_size=lengths(models.AskStep, "options")[1],
    unique=True,
)
ASK = OPTIONS.flatmap(
    lambda options: st.fixed_dictionaries(
        {
            "type": st.just("ask"),
            "question": st.just("Which?"),
            "options": st.just(options),
            "default": st.sampled_from(options),
            "deadline_seconds": numbers(models.AskStep, "deadline_seconds"),
        }
    )
)
SUB = st.just({"type": "sub_playbook", "playbook": "other", "version": 1})


def inside(steps: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Steps that hold others."""
    some = st.lists(steps, min_size=1, max_size=3)
    least, most = lengths(models.ParallelStep, "branches")
    return st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("parallel"), "branches": st.lists(some, min_size=least, max_size=min(most or 3, 3))}
        ),
        st.fixed_dictionaries(
            {
                "type": st.just("conditional"),
                "condition": CONDITIONS,
                "then": some,
                "otherwise": st.lists(steps, max_size=2),
            }
        ),
        st.fixed_dictionaries(
            {"type": st.just("loop"), "condition": ROUNDS, "most": numbers(models.LoopStep, "most"), "body": some}
        ),
    )


STEPS = st.lists(st.recursive(ACTIVITY | WAIT | ASK | SUB, inside, max_leaves=8), min_size=1, max_size=4)
OTHER = Definition.model_validate(document({**TAG, "type": "activity", "id": "inner"}))


def named(found: Any, counter: list[int] | None = None) -> Any:
    """The document with a name of its own for every step."""
    counter = counter if counter is not None else [0]
    if isinstance(found, list):
        return [named(one, counter) for one in found]
    if not isinstance(found, dict) or "type" not in found:
        return found
    counter[0] += 1
    return {"id": f"s{counter[0]}", **{key: named(value, counter) for key, value in found.items()}}


KNOWN = {("other", 1): OTHER}


def parsed(steps: Any) -> Definition | None:
    """The playbook of these steps; None when a rule that needs the whole document refuses it."""
    try:
        return validation.parse(document(*named(steps)), known=KNOWN)
    except validation.InvalidPlaybook:
        return None


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    steps=STEPS,
    failing=st.sets(st.integers(1, MOST), max_size=4),
    failing_undo=st.booleans(),
    decision=st.sampled_from([Step.SKIPPED, Step.RUNNING]),
    long=st.sampled_from([12, 4_000]),
    cancel_at=st.none() | st.integers(1, 20),
)
async def test_any_playbook_runs_to_an_end_and_does_no_step_twice(
    dev_server: WorkflowEnvironment,
    steps: Any,
    failing: set[int],
    failing_undo: bool,
    decision: Step,
    long: int,
    cancel_at: int | None,
) -> None:
    found = parsed(steps)
    if found is None:
        return
    world = RandomWorld(found, subs={"other@1": OTHER}, hurried=True)
    world.failing, world.failing_undo, world.decision = failing, failing_undo, decision
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(waits, "EVENTS", long)
        async with running(world, dev_server, runner=UnsandboxedWorkflowRunner()) as handle:
            if cancel_at is not None:
                await world.until(lambda: len(world.calls) >= cancel_at or world.status in ENDED_PLAYBOOK_RUNS)
                if world.status not in ENDED_PLAYBOOK_RUNS:
                    world.cancel()
                    await handle.cancel()
            try:
                await handle.result()
            except WorkflowFailureError:
                assert world.status is Run.CANCELLED
    assert world.status in ENDED_PLAYBOOK_RUNS
    assert world.nothing_twice()
    assert len(world.rows) <= worst_case.executions(found.steps, KNOWN)
    assert {row.status for row in world.rows.values()} <= {Step.DONE, Step.SKIPPED, Step.GIVEN_UP, Step.UNDONE}
    able = [path for path in world.effects if world.rows[path].step.undo is not None]  # type: ignore[union-attr]
    if world.status is Run.COMPLETED or "begin_playbook_undo" not in world.calls:
        assert world.undone == []
    else:
        assert world.undone == [path for path in reversed(able) if world.rows[path].status is Step.UNDONE]
        assert {world.rows[path].status for path in able} <= {Step.UNDONE, Step.SKIPPED}


class RandomWorld(PlaybookWorld):
    """Attempts fail by their number, whatever step they are of; a person decides at once."""

    failing: set[int]
    failing_undo: bool
    decision: Step

    async def happen(self, name: str, path: str) -> None:
        await super().happen(name, path)
        if name == "run_playbook_step":
            attempts = sum(call.startswith(name) for call in self.calls)
            assert attempts <= 10 * MOST, "it runs for ever"
            if attempts in self.failing:
                raise used_up()
        elif name == "undo_playbook_step" and self.failing_undo:
            self.failing_undo = False
            # An undo that fails waits for a person, too: this one has it tried again, or leaves it.
            self.decisions[path] = Step.SKIPPED if self.decision is Step.SKIPPED else Step.UNDOING
            raise used_up()

    def fail(self, path: str, message: str) -> OnFailure:
        # What has no value now has none when it is asked again.
        retried = self.decision is Step.RUNNING and isinstance(self.at(path).step, models.ActivityStep)
        self.decisions[path] = Step.RUNNING if retried else Step.SKIPPED
        how = super().fail(path, message)
        self.decisions[path] = Step.SKIPPED
        return how


def wounds(found: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place of a document."""
    inner = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    return [path, *(deep for key, value in inner for deep in wounds(value, (*path, key)))]


def wounded(found: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    copy = dict(found) if isinstance(found, dict) else list(found)
    copy[path[0]] = wounded(copy[path[0]], path[1:], value)
    return copy


JUNK = st.sampled_from(
    [None, -1, 0, 10**9, 2**70, True, 1.5, "", "=", "=order", "x" * 600, "\x00", [], {}, [[]], "loop"]
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(steps=STEPS, junk=JUNK, data=st.data())
def test_a_playbook_with_one_wrong_place_is_refused_by_a_path_or_is_still_one(
    steps: Any, junk: Any, data: st.DataObject
) -> None:
    whole = document(*named(steps))
    place = data.draw(st.sampled_from(wounds(whole)))
    try:
        found = validation.parse(wounded(whole, place, junk), known=KNOWN)
    except validation.InvalidPlaybook as error:
        problems = [(one.path, one.message) for one in error.problems]
    else:
        problems = []
        assert validation.parse(found.model_dump(mode="json"), known=KNOWN) == found
    assert all(message for _, message in problems)
    if place and place[0] == "steps" and len(place) > 1:
        assert all(path.startswith("steps") or not path for path, _ in problems)
