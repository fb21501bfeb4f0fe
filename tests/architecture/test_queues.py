"""Every queue that code sends work to is one that workers know; a typo would look like slow work."""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orders.vocabulary import STEPS_OF_PARTNER, PartnerCode
from temporal_app import workflows
from temporal_app.lanes import LANE_OF
from temporal_app.registry import REGISTRY
from temporal_app.schedules import SCHEDULES
from temporal_app.step_activities import ACTIVITY_OF_STEP
from temporal_app.task_queues import LANE_THREADS, TaskQueue

#: whose answers a lane waits for
PARTNER_OF_LANE = {
    TaskQueue.FRAUD: PartnerCode.FRAUD,
    TaskQueue.PAYMENTS: PartnerCode.PAYMENTS,
    TaskQueue.REFUNDS: PartnerCode.PAYMENTS,
    TaskQueue.CARRIER: PartnerCode.CARRIER,
    TaskQueue.RECALLS: PartnerCode.CARRIER,
}
#: policies of calls that wait for somebody else
OUTSIDE = {"partner", "partner_undo", "partner_question", "partner_check", "mail"}


def test_every_queue_has_work_of_its_own_in_the_registry() -> None:
    assert set(REGISTRY) == set(TaskQueue), "A queue that is not in temporal_app/registry.py is polled by nobody."
    for queue, contents in REGISTRY.items():
        assert contents.workflows or contents.activities, f"{queue} has nothing to do: no worker can be made of it."


def test_every_schedule_starts_a_workflow_that_its_queue_knows() -> None:
    for name, schedule in SCHEDULES.items():
        action = schedule.action
        queue = TaskQueue(action.task_queue)  # type: ignore[union-attr]
        known = {workflow.__name__ for workflow in REGISTRY[queue].workflows}
        assert action.workflow in known, f"{name} starts {action.workflow}, which {queue} does not run."  # type: ignore[union-attr]


WORKFLOWS = [(queue, workflow) for queue, contents in REGISTRY.items() for workflow in contents.workflows]


@pytest.mark.parametrize(("queue", "workflow"), WORKFLOWS, ids=[workflow.__name__ for _, workflow in WORKFLOWS])
def test_a_database_step_can_leave_the_workflow_task(queue: TaskQueue, workflow: type) -> None:
    """After some failures the server hands it out on the workflow's own queue, where somebody must know it."""
    module = sys.modules[workflow.__module__]
    calls = [node for node in ast.walk(ast.parse(inspect.getsource(workflow))) if isinstance(node, ast.Call)]
    asked = [call.args[0] for call in calls if ast.unparse(call.func) in {"database_step", "self.ask"}]
    named = [one for one in asked if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)]
    steps = {getattr(getattr(module, one.value.id), one.attr) for one in named}  # type: ignore[attr-defined]
    known = set(REGISTRY[queue].activities)
    assert steps <= known, f"{queue} does not know {[step.__name__ for step in steps - known]}."


def test_a_local_activity_is_only_begun_where_it_can_leave_the_workflow_task() -> None:
    folder = Path(inspect.getfile(sys.modules["temporal_app.workflows"])).parent
    bare = [path.name for path in folder.glob("*.py") if "execute_local_activity" in path.read_text()]
    assert bare == ["steps.py"], "A local activity that fails holds a slot for workflow tasks: use `database_step`."


def test_a_lane_has_slots_and_no_workflows() -> None:
    lanes = {queue for queue, contents in REGISTRY.items() if not contents.workflows}
    assert lanes == set(LANE_THREADS), "A lane has its number of threads in temporal_app/task_queues.py."


def test_every_step_that_asks_a_partner_is_on_a_lane_of_that_partner() -> None:
    for partner, steps in STEPS_OF_PARTNER.items():
        for step in steps:
            lane = LANE_OF.get(ACTIVITY_OF_STEP[step])
            asked = PARTNER_OF_LANE.get(lane) if lane else None
            assert asked is partner, f"{step} asks {partner}, and is sent to {lane}"


def test_giving_back_shares_no_lane_with_new_orders() -> None:
    new = {LANE_OF[name] for name in ("check_fraud", "charge_payment", "ship_order")}
    back = {LANE_OF[name] for name in ("undo_payment", "undo_shipment", "send_refund")}
    assert not new & back


def test_whatever_waits_for_somebody_else_has_a_lane_or_is_on_the_queue_of_such_calls() -> None:
    """Read off the policies, which say it of every call."""
    calls = list(calls_outside())
    assert {"check_fraud", "send_refund", "make_partner_call", "send_notice"} <= {name for name, _ in calls}
    aside = {function.__name__ for function in REGISTRY[TaskQueue.PARTNERS].activities}
    for name, where in calls:
        assert name in LANE_OF or name in aside, (
            f"{name} ({where}) may wait for a partner in the slots of single orders"
        )


def test_what_a_lane_took_over_is_still_served_where_it_was_asked_for() -> None:
    served = {function.__name__ for contents in REGISTRY.values() for function in contents.from_before}
    assert served == set(LANE_OF)


def calls_outside() -> Iterator[tuple[str, str]]:
    """The activity of each call in a workflow with such a policy, and its file."""
    for path in sorted(Path(workflows.__path__[0]).glob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            match call:
                case ast.Call(
                    func=ast.Attribute(attr="execute_activity" | "start_activity"),
                    args=[ast.Attribute(attr=activity), *_],
                ):
                    named = {node.attr for node in ast.walk(call) if isinstance(node, ast.Attribute)}
                    if OUTSIDE & named:
                        yield activity, path.name
