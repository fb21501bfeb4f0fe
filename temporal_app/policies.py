"""How long activities may take and how they are retried, by kind of work.

Infrastructure errors are retried without limit: a database that is down for an hour must not fail an order. What is
final is raised as non-retryable by the activity, so no policy needs to list error types. Changing a number here is safe
for running orders; changing the order of steps in a workflow is not.
"""

import os
from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

#: the failure type of an error that nobody foresaw (`errors.translated_errors`)
UNEXPECTED = "unexpected"
#: the failure type of an activity whose process has no row, as after a restored backup (`rowless`)
NO_ROW = "no_row"
#: the failure type of a child workflow whose answer nobody of ours wrote (`authenticity`): nothing is known of it
UNREADABLE = "unreadable_payload"
#: shorter in a chaos run, whose pauses must outlast a timeout; a replay compares no timeouts
SCALE = float(os.environ.get("BACKOFFICE_TIMEOUT_SCALE", "1")) if os.environ.get("BACKOFFICE_ENV") == "chaos" else 1.0


def database(summary: str) -> LocalActivityConfig:
    """Database steps between two partner calls: one local activity of several fenced commits, with a few tries.

    Each holds a slot for workflow tasks; what goes on failing is left to `patient_database` (`workflows/steps.py`).
    """
    return LocalActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30) * SCALE,
        schedule_to_close_timeout=timedelta(seconds=30) * SCALE,
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5), maximum_attempts=3
        ),
        # What asks for a longer pause gets it from a timer, which holds no slot.
        local_retry_threshold=timedelta(seconds=5),
        # An effect that is under way is awaited, so that its undo never overtakes it.
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def patient_database(summary: str) -> ActivityConfig:
    """The same steps after their first tries have failed: the server waits, without limit and without a slot."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=2)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def partner_undo(summary: str) -> ActivityConfig:
    """The undo of a partner call: never given up. Three partner timeouts fit into one attempt."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=15) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def partner(summary: str) -> ActivityConfig:
    """One partner call with its look-ups.

    Partners forget idempotency keys after a day, so an outcome that stays unknown is undone by look-up before that.
    """
    return {**partner_undo(summary), "schedule_to_close_timeout": timedelta(hours=20)}


def mail(summary: str) -> ActivityConfig:
    """One mail: a server that is away for longer than this has the notice marked as failed."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30),
        schedule_to_close_timeout=timedelta(hours=1),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=2), maximum_interval=timedelta(minutes=5)),
    )


def long_import(summary: str) -> ActivityConfig:
    """One phase of a feed import: it heartbeats and resumes where it stopped."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(hours=2),
        heartbeat_timeout=timedelta(seconds=20),
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def nightly(summary: str) -> ActivityConfig:
    """One statement over all orders; nobody waits for it, and a second attempt finds what the first has committed."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=30),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def process_step(summary: str, *, patience: timedelta | None) -> ActivityConfig:
    """One step of a long process: it heartbeats, goes on where it stopped, and is tried for its patience."""
    config = ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(hours=4),
        heartbeat_timeout=timedelta(seconds=20) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
    if patience:
        config["schedule_to_close_timeout"] = patience
    return config


def partner_question(summary: str) -> ActivityConfig:
    """One call of a list that changes nothing at the partner: it waits for a partner that is out of order, for days.

    A bug of ours is final for its call, or one bad row would keep the whole list open.
    """
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30),
        retry_policy=RetryPolicy(
            initial_interval=timedelta(milliseconds=500),
            maximum_interval=timedelta(seconds=10),
            non_retryable_error_types=[UNEXPECTED],
        ),
        # It reads only, and a run that was cancelled takes no result any more.
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


def sweep(summary: str, *, seconds: int = 15) -> ActivityConfig:
    """One part of a sweep: given up soon, because the next sweep comes in half a minute.

    A worker that is killed with it holds up the sweep for `seconds`, and a lost process is found within a minute.
    """
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=seconds),
        schedule_to_close_timeout=timedelta(seconds=150),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=3),
    )


def chunk(summary: str) -> ActivityConfig:
    """One chunk of a batch: a transaction of a second, or minutes when it is done one by one, with a heartbeat each."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=10),
        heartbeat_timeout=timedelta(seconds=40),
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def partner_check(summary: str) -> ActivityConfig:
    """A partner call of a batch that changes nothing: given up after a while, as its item's result.

    A pause does not wait for it: what it finds after that is not written.
    """
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=15) * SCALE,
        schedule_to_close_timeout=timedelta(minutes=10),
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=10)),
        cancellation_type=ActivityCancellationType.TRY_CANCEL,
    )


def long_export(summary: str) -> ActivityConfig:
    """The file of one export: it heartbeats after every part and resumes after the last one that was stored."""
    return long_import(summary)


def round_of_exports(summary: str) -> ActivityConfig:
    """A look at what is due: short, and the next one comes in minutes, so it is given up before that."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=2),
        schedule_to_close_timeout=timedelta(minutes=10),
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=30)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def playbook_step(summary: str, timeout_seconds: int) -> ActivityConfig:
    """A step of a playbook. Its row counts the attempts that failed; a database that is away uses up none of them."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=timeout_seconds) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
