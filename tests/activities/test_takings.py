"""A worker counts what it takes and what of it fails because of us; answers of partners and of rules are work done."""

import asyncio
import time
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor

from temporal_app import takings
from temporal_app.takings import Takings


class Ending(ActivityInboundInterceptor):
    """An activity that ends as it is told."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def execute_activity(self, input: Any) -> Any:
        if self.error is not None:
            raise self.error
        return "done"


def take(counted: Takings, error: Exception | None = None) -> None:
    activity = counted.intercept_activity(Ending(error))
    with pytest.raises(type(error)) if error is not None else nullcontext():
        asyncio.run(activity.execute_activity(SimpleNamespace(fn=take)))  # type: ignore[arg-type]


def test_what_fails_because_of_us_is_counted_and_answers_are_not() -> None:
    counted = Takings()
    take(counted)
    take(counted, ApplicationError("The card was declined", type="declined"))
    take(counted, ApplicationError("503", type="partner_unavailable"))
    assert counted.lately() == (3, 0)
    take(counted, ApplicationError("The database did not answer", type="database"))
    take(counted, ApplicationError("An unexpected error", type="unexpected"))
    take(counted, RuntimeError("no thread"))
    assert counted.lately() == (6, 3)


def test_only_the_last_minute_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    counted, now = Takings(), time.monotonic()
    take(counted, RuntimeError())
    monkeypatch.setattr(takings.time, "monotonic", lambda: now + 120)
    assert counted.lately() == (0, 0)
