"""How long activities may take and how they are retried, by kind of work.

Infrastructure errors are retried without limit: a database that is down for an hour must not fail an order. What is
final is raised as non-retryable by the activity, so no policy needs to list error types. Changing a number here is safe
for running orders; changing the order of steps in a workflow is not.
"""

import os
from datetime import timedelta

from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType, ActivityConfig, LocalActivityConfig

#: shorter in a chaos run, whose pauses must outlast a timeout; a replay compares no timeouts
SCALE = float(os.environ.get("BACKOFFICE_TIMEOUT_SCALE", "1")) if os.environ.get("BACKOFFICE_ENV") == "chaos" else 1.0


def database(summary: str) -> LocalActivityConfig:
    """Database steps between two partner calls: one local activity of several fenced commits."""
    return LocalActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=30) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=5)),
        # An effect that is under way is awaited, so that its undo never overtakes it.
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


def playbook_step(summary: str, timeout_seconds: int) -> ActivityConfig:
    """A step of a playbook. Its row counts the attempts that failed; a database that is away uses up none of them."""
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(seconds=timeout_seconds) * SCALE,
        retry_policy=RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
        cancellation_type=ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )
