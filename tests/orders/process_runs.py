"""Drives a process run as its workflow does, without Temporal: look, work, give up."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from orders.actor import Actor, person, system
from orders.errors import DomainError
from orders.models import ProcessRun, ProcessStep
from orders.services import processes
from orders.services.processes import definitions
from orders.services.processes.pacing import Pace
from orders.vocabulary import Channel, OnFailure, ProcessName, ProcessNext, ProcessStepName
from tests.factories import TEST_ACTOR
from tests.orders.staff import make_user

DAY_END = ProcessName.DAY_END_CLOSE
ENGINE = system("process", workflow_id="process:test", run_id="run", attempt=1)
Work = Callable[[Pace], str]


def lead(name: str = "lea") -> Actor:
    return person(make_user("orders.run_process", "orders.view_processrun", name=name), Channel.ADMIN)


def started(actor: Actor = TEST_ACTOR, **options: object) -> ProcessRun:
    return processes.start(DAY_END, actor=actor, reason="The day is over", **options)  # type: ignore[arg-type]


def quiet(cursor: str) -> None:
    """A beat that asks for nothing."""


def no_delays(run: ProcessRun) -> None:
    run.steps.update(delay_seconds=0, due_at=None)


@contextmanager
def defined(*works: Work, on_failure: OnFailure = OnFailure.CONTINUE) -> Iterator[None]:
    """The day-end close made of these works instead of its own."""
    steps = tuple(
        definitions.StepDefinition(name=name, work=work, on_failure=on_failure)
        for name, work in zip(ProcessStepName, works, strict=False)
    )
    with mock.patch.dict(definitions.DEFINITIONS, {DAY_END: steps}):  # type: ignore[arg-type]
        yield


def drive(run: ProcessRun) -> ProcessRun:
    """Until the run ends, or waits for somebody. A step that fails is given up after one try."""
    while True:
        ProcessStep.objects.filter(run=run).update(due_at=None)
        standing = processes.look(run.pk)
        if standing.next is not ProcessNext.STEP:
            run.refresh_from_db()
            return run
        try:
            processes.work(run.pk, standing.position, actor=ENGINE, beat=quiet)
        except DomainError as error:
            processes.give_up(run.pk, standing.position, str(error))


def step(run: ProcessRun, name: ProcessStepName | str) -> ProcessStep:
    return run.steps.get(name=name)
