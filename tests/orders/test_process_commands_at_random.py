"""Pause, resume and cancel at random moments, with crashes between: nothing twice, nothing lost, the sums add up."""

from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orders.errors import DomainError, StaleAttempt, WrongState
from orders.models import ProcessRun, ProcessStep
from orders.services import processes
from orders.services.processes.pacing import Pace
from orders.vocabulary import ProcessNext, ProcessStatus, ProcessStepStatus
from tests.factories import TEST_ACTOR
from tests.orders.process_runs import ENGINE, defined, quiet, started

pytestmark = pytest.mark.django_db
STEPS, CHUNKS = 4, 3
MOMENTS = STEPS * CHUNKS
COMMANDS = {"pause": processes.pause, "resume": processes.resume, "cancel": processes.cancel}


class Killed(BaseException):
    """A worker that dies: nothing after it runs, and what was committed stays."""


def give(name: str, run: ProcessRun) -> None:
    """A command; one that comes at the wrong moment is refused and changes nothing."""
    before = ProcessRun.objects.get(pk=run.pk).status
    try:
        COMMANDS[name](run.pk, actor=TEST_ACTOR, reason="Random")
    except WrongState:
        assert ProcessRun.objects.get(pk=run.pk).status == before


events = st.dictionaries(
    # At which of all chunks, counted over the run: what happens right after its commit.
    st.integers(0, MOMENTS - 1),
    st.lists(st.sampled_from(["pause", "resume", "cancel", "kill", "fail"]), min_size=1, max_size=3),
    max_size=5,
)
between = st.lists(st.sampled_from(["pause", "resume", "cancel", "nothing"]), max_size=8)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(inside=events, outside=between)
def test_commands_and_crashes_at_random_moments(inside: dict[int, list[str]], outside: list[str]) -> None:
    worked: list[tuple[int, int]] = []
    pending = {moment: list(what) for moment, what in inside.items()}
    asked_to_cancel: list[int] = []

    def chunked(pace: Pace) -> str:
        position = pace.step.position
        for number in range(int(pace.step.cursor or 0), CHUNKS):
            with pace.chunk(str(number + 1), chunks=1):
                assert ProcessRun.objects.get(pk=pace.run.pk).status != ProcessStatus.PAUSED
                worked.append((position, number))
            for what in pending.pop(len(worked) - 1, []):
                if what == "kill":
                    raise Killed
                if what == "fail":
                    raise DomainError("At random.")
                if what == "cancel":
                    asked_to_cancel.append(position)
                give(what, pace.run)
        return "Done."

    ProcessRun.objects.exclude(status__in=["cancelled", "failed"]).update(status="failed", finished_at=timezone.now())
    with defined(*[chunked] * STEPS):
        run = started()
        run.steps.update(delay_seconds=0)
        orders = list(outside)
        for _ in range(200):
            standing = processes.look(run.pk)
            if standing.next is ProcessNext.END:
                break
            word = orders.pop(0) if orders else "nothing"
            if word != "nothing":
                give(word, run)
            elif standing.next is ProcessNext.PARK:
                give("resume", run)
            ProcessStep.objects.filter(run=run).update(due_at=None)
            if standing.next is ProcessNext.STEP:
                work(run, standing.position)
        run.refresh_from_db()

    check(run, worked, asked_to_cancel)


def work(run: ProcessRun, position: int) -> None:
    """One attempt, as the engine makes it."""
    try:
        processes.work(run.pk, position, actor=ENGINE, beat=quiet)
    except Killed:
        return
    except StaleAttempt:
        pytest.fail("Nobody else works here.")
    except DomainError as error:
        processes.give_up(run.pk, position, str(error))


def check(run: ProcessRun, worked: list[tuple[int, int]], asked_to_cancel: list[int]) -> None:
    steps: list[Any] = list(run.steps.order_by("position"))
    assert run.status in {ProcessStatus.COMPLETED, ProcessStatus.CANCELLED}
    assert len(worked) == len(set(worked)), "a chunk was done twice"
    assert worked == sorted(worked), "out of order"
    for step in steps:
        mine = [chunk for at, chunk in worked if at == step.position]
        assert step.figures.get("chunks", 0) == len(mine), "the figures are not what was done"
        assert step.outcome
        if step.status == ProcessStepStatus.DONE:
            assert mine == list(range(CHUNKS)), "a chunk was lost"
    assert sum(step.figures.get("chunks", 0) for step in steps) == len(worked)
    if run.status == ProcessStatus.COMPLETED:
        assert ProcessStepStatus.SKIPPED not in {step.status for step in steps}
        assert not asked_to_cancel
    after_the_cancellation = [step for step in steps if asked_to_cancel and step.position > asked_to_cancel[0]]
    assert all(step.status == ProcessStepStatus.SKIPPED for step in after_the_cancellation)
