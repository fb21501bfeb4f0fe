"""Every queue that code sends work to is one that workers know; a typo would look like slow work."""

from temporal_app.registry import REGISTRY
from temporal_app.schedules import SCHEDULES
from temporal_app.task_queues import TaskQueue


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
