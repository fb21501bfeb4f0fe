"""A run of configured steps: what its rows say after every command, in whatever moment it comes."""

from datetime import date, timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from orders.errors import DomainError, InvalidInput, NotPermitted, StaleAttempt, WrongState
from orders.models import Command, OutboxMessage, ProcessRun, ProcessStep
from orders.services import processes
from orders.services.processes.pacing import Pace
from orders.vocabulary import CommandKind, OnFailure, ProcessNext, ProcessStatus, ProcessStepStatus, Topic
from tests.factories import TEST_ACTOR
from tests.orders.process_runs import DAY_END, ENGINE, defined, drive, lead, quiet, started
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
S = ProcessStepStatus


def done(pace: Pace) -> str:
    return "Done."


def fails(pace: Pace) -> str:
    raise DomainError("It cannot be done.")


def statuses(run: ProcessRun) -> list[str]:
    return list(run.steps.order_by("position").values_list("status", flat=True))


def during(command: Any, seen: list[str]) -> Any:
    """A step during which somebody gives a command; notes what the run says right after it."""

    def work(pace: Pace) -> str:
        command(pace.run.pk, actor=TEST_ACTOR, reason="Now")
        seen.append(ProcessRun.objects.get(pk=pace.run.pk).status)
        return "Done."

    return work


def test_a_run_does_its_steps_in_their_order_and_completes() -> None:
    order: list[int] = []

    def noted(pace: Pace) -> str:
        order.append(pace.step.position)
        return "Done."

    with defined(noted, noted, noted):
        run = drive(started())
    assert (run.status, order, statuses(run)) == (ProcessStatus.COMPLETED, [1, 2, 3], [S.DONE] * 3)
    assert run.finished_at is not None


def test_a_start_is_a_command_and_a_message_that_names_only_the_run() -> None:
    run = started(lead())
    command = Command.objects.get(kind=CommandKind.PROCESS_START)
    assert (command.actor, command.subject, command.reason) == ("lea", str(run.pk), "The day is over")
    message = OutboxMessage.objects.get(topic=Topic.TELL_PROCESS)
    assert message.body == {"run_id": str(run.pk)}


def test_a_second_start_of_the_day_says_who_was_first_and_when() -> None:
    started(lead("ada"))
    with pytest.raises(WrongState, match=r"was started by ada at \d{4}-.* UTC; it is running"):
        started(lead("bob"))
    assert ProcessRun.objects.count() == 1


@pytest.mark.parametrize("ending", [processes.cancel, None])
def test_a_day_whose_run_was_cancelled_or_failed_may_be_closed_again(ending: Any) -> None:
    with defined(fails, on_failure=OnFailure.STOP):
        run = started()
        if ending:
            ending(run.pk, actor=TEST_ACTOR, reason="Too early")
        else:
            assert drive(run).status == ProcessStatus.FAILED
        again = started()
    assert again.business_day == run.business_day
    assert again.covers_from == run.covers_from, "what the first one did not do is not lost"


def test_runs_follow_each_other_without_a_gap() -> None:
    with defined(done):
        with time_machine.travel("2026-03-01T10:00:00Z", tick=False):
            first = drive(started())
        with time_machine.travel("2026-03-02T22:30:00Z", tick=False):
            second = drive(started())
    assert first.covers_from.isoformat() == "2026-03-01T00:00:00+00:00"
    assert second.covers_from == first.covers_until


@pytest.mark.parametrize("days", [1, -32])
def test_a_day_of_the_future_or_of_long_ago_is_refused(days: int) -> None:
    with pytest.raises(InvalidInput, match="last 31 days") as refusal:
        started(business_day=timezone.now().date() + timedelta(days=days))
    assert refusal.value.field == "business_day"
    assert not ProcessRun.objects.exists()


@pytest.mark.parametrize("command", [processes.pause, processes.resume, processes.cancel])
def test_whoever_lacks_the_permission_changes_nothing(command: Any) -> None:
    from orders.actor import person
    from orders.vocabulary import Channel

    run, nobody = started(), person(make_user(name="nobody"), Channel.ADMIN)
    with pytest.raises(NotPermitted):
        started(nobody, business_day=date(2026, 1, 1))
    with pytest.raises(NotPermitted):
        command(run.pk, actor=nobody, reason="No")
    assert ProcessRun.objects.get().status == ProcessStatus.RUNNING


def test_a_pause_during_a_step_says_pausing_until_the_step_has_ended() -> None:
    seen: list[str] = []
    with defined(during(processes.pause, seen), done):
        run = drive(started())
        assert (seen, run.status) == ([ProcessStatus.PAUSING], ProcessStatus.PAUSED)
        assert statuses(run) == [S.DONE, S.WAITING]
        assert processes.look(run.pk).next is ProcessNext.PARK
        processes.resume(run.pk, actor=TEST_ACTOR, reason="On")
        assert drive(run).status == ProcessStatus.COMPLETED


def test_a_pause_between_two_steps_holds_at_once() -> None:
    with defined(done, done):
        run = started()
        assert processes.pause(run.pk, actor=TEST_ACTOR, reason="Wait").status == ProcessStatus.PAUSED
        processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
        assert statuses(drive(run)) == [S.WAITING, S.PENDING]


def test_a_pause_during_the_last_step_has_nothing_left_to_pause() -> None:
    seen: list[str] = []
    with defined(during(processes.pause, seen)):
        run = drive(started())
    assert (seen, run.status) == ([ProcessStatus.PAUSING], ProcessStatus.COMPLETED)


def test_a_cancellation_of_a_paused_run_takes_effect_at_once() -> None:
    with defined(done, done):
        run = started()
        processes.pause(run.pk, actor=TEST_ACTOR, reason="Wait")
        assert processes.cancel(run.pk, actor=TEST_ACTOR, reason="Never mind").status == ProcessStatus.CANCELLED
        assert statuses(run) == [S.SKIPPED] * 2
        assert processes.look(run.pk).next is ProcessNext.END


def test_a_cancellation_during_a_step_ends_the_run_after_it() -> None:
    seen: list[str] = []
    with defined(during(processes.cancel, seen), done):
        run = drive(started())
    assert (seen, run.status) == ([ProcessStatus.CANCELLING], ProcessStatus.CANCELLED)
    assert statuses(run) == [S.DONE, S.SKIPPED]


def test_a_cancellation_during_the_last_step_is_not_dropped() -> None:
    with defined(during(processes.cancel, [])):
        assert drive(started()).status == ProcessStatus.CANCELLED


def test_a_step_of_chunks_stops_at_the_next_one_when_the_run_is_cancelled() -> None:
    chunks: list[int] = []

    def chunked(pace: Pace) -> str:
        for number in range(5):
            with pace.chunk(str(number), chunks=1):
                chunks.append(number)
                if number == 1:
                    processes.cancel(pace.run.pk, actor=TEST_ACTOR, reason="Stop")
        return "Done."

    with defined(chunked, done):
        run = started()
        # The command comes from elsewhere, not from inside the chunk's transaction; the chunk commits all the same.
        drive(run)
    first = run.steps.get(position=1)
    assert (chunks, first.status, first.figures) == ([0, 1], S.SKIPPED, {"chunks": 2})
    assert ProcessRun.objects.get().status == ProcessStatus.CANCELLED


def test_a_resume_with_a_pending_cancellation_is_refused_and_no_further_step_runs() -> None:
    def both(pace: Pace) -> str:
        processes.pause(pace.run.pk, actor=TEST_ACTOR, reason="Wait")
        processes.cancel(pace.run.pk, actor=TEST_ACTOR, reason="No")
        with pytest.raises(WrongState, match="is being cancelled"):
            processes.resume(pace.run.pk, actor=TEST_ACTOR, reason="Yes")
        return "Done."

    with defined(both, done):
        run = drive(started())
    assert (run.status, statuses(run)) == (ProcessStatus.CANCELLED, [S.DONE, S.SKIPPED])


@pytest.mark.parametrize(
    ("before", "command", "refusal"),
    [
        ([], processes.resume, "is not paused"),
        ([processes.pause], processes.pause, "is paused already, by test at .* UTC"),
        ([processes.cancel], processes.cancel, "is cancelled since .* UTC"),
        ([processes.cancel], processes.pause, "there is nothing to change"),
        ([processes.cancel], processes.resume, "there is nothing to change"),
    ],
)
def test_a_command_that_comes_too_late_or_twice_says_how_it_stands(
    before: list[Any], command: Any, refusal: str
) -> None:
    run = started()
    for earlier in before:
        earlier(run.pk, actor=TEST_ACTOR, reason="First")
    with pytest.raises(WrongState, match=refusal):
        command(run.pk, actor=TEST_ACTOR, reason="Second")


def test_a_failed_step_after_which_the_rest_makes_sense_leaves_the_run_to_go_on() -> None:
    with defined(fails, done):
        run = drive(started())
    failed = run.steps.get(position=1)
    assert (run.status, statuses(run)) == (ProcessStatus.COMPLETED, [S.FAILED, S.DONE])
    assert (failed.outcome, failed.error) == ("It cannot be done.", "It cannot be done.")


def test_a_failed_step_after_which_nothing_makes_sense_ends_the_run() -> None:
    with defined(fails, done, on_failure=OnFailure.STOP):
        run = drive(started())
    assert (run.status, statuses(run)) == (ProcessStatus.FAILED, [S.FAILED, S.SKIPPED])
    assert "It cannot be done" in run.status_reason


def test_the_next_step_waits_for_its_delay() -> None:
    with defined(done, done):
        run = started()
        run.steps.filter(position=2).update(delay_seconds=600)
        processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
        standing = processes.look(run.pk)
    assert (standing.next, standing.position) == (ProcessNext.WAIT, 2)
    assert 590 < standing.wait_seconds <= 600


def test_the_delays_are_configured_and_kept_by_a_run_that_has_begun(settings: Any) -> None:
    settings.PROCESS_DELAYS = {"reconcile": 77}
    run = started()
    settings.PROCESS_DELAYS = {"reconcile": 1}
    assert run.steps.get(name="reconcile").delay_seconds == 77


def test_an_attempt_after_a_crash_goes_on_where_the_last_chunk_was_committed() -> None:
    worked: list[int] = []

    def crashing(pace: Pace) -> str:
        for number in range(int(pace.step.cursor or 0), 4):
            with pace.chunk(str(number + 1), chunks=1):
                worked.append(number)
            if number == 1 and pace.step.token == 1:
                raise RuntimeError("killed")
        return "Done."

    with defined(crashing):
        run = started()
        with pytest.raises(RuntimeError):
            processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
        assert statuses(run) == [S.RUNNING]
        run = drive(run)
    assert (worked, run.steps.get().figures) == ([0, 1, 2, 3], {"chunks": 4})


def test_an_attempt_that_stalled_while_another_took_over_writes_nothing_more() -> None:
    def stalling(pace: Pace) -> str:
        with pace.chunk("1", chunks=1):
            pass
        if pace.step.token == 1:
            processes.work(pace.run.pk, 1, actor=ENGINE, beat=quiet)
            with pace.chunk("2", chunks=1):
                pytest.fail("The late attempt may not write.")
        return "Done."

    with defined(stalling):
        run = started()
        with pytest.raises(StaleAttempt):
            processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
    step = ProcessStep.objects.get(run=run)
    assert (step.status, step.token, step.figures) == (S.DONE, 2, {"chunks": 2})


def test_every_step_may_be_worked_given_up_and_stopped_again_without_a_second_effect() -> None:
    with defined(done, done):
        run = drive(started())
        before = list(ProcessStep.objects.filter(run=run).values())
        for position in (1, 2):
            processes.work(run.pk, position, actor=ENGINE, beat=quiet)
            processes.give_up(run.pk, position, "Too late")
        processes.stop(run.pk, actor=ENGINE, reason="Too late")
    assert list(ProcessStep.objects.filter(run=run).values()) == before
    assert ProcessRun.objects.get().status == ProcessStatus.COMPLETED


def test_a_process_that_is_cancelled_in_temporal_does_not_say_running_for_ever() -> None:
    def interrupted(pace: Pace) -> str:
        processes.stop(pace.run.pk, actor=ENGINE, reason="Cancelled in Temporal.")
        return "Done."

    with defined(interrupted, done):
        run = started()
        with pytest.raises(StaleAttempt):
            processes.work(run.pk, 1, actor=ENGINE, beat=quiet)
    run.refresh_from_db()
    assert (run.status, statuses(run)) == (ProcessStatus.CANCELLED, [S.SKIPPED] * 2)


def test_the_close_has_its_five_steps() -> None:
    run = started()
    assert [step.name for step in run.steps.order_by("position")] == [
        "settle_captures",
        "reconcile",
        "release_stale",
        "refresh_tracking",
        "send_summary",
    ]
    assert run.definition == DAY_END
