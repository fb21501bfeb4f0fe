"""How many of the activities that this worker took failed because of us, over the last minute.

A worker without a database connection looks alive: it polls, takes what there is, and fails it. Its beat tells of that,
and the health card is red. What a partner or a rule says is an answer, and counts as work done.
"""

import time
from collections import deque
from typing import Any

from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from temporal_app.policies import UNEXPECTED

#: seconds that are counted
WINDOW = 60.0
#: types of failures that are ours
OURS = frozenset({"database", UNEXPECTED})


class Takings(Interceptor):
    """Counts for all queues of one worker process; threads add to it, the beat reads it."""

    def __init__(self) -> None:
        self.ended: deque[tuple[float, bool]] = deque(maxlen=100_000)
        #: the activities of this moment, local ones included: a key of their own -> their type
        self.under_way: dict[object, str] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        return _Counting(next, self)

    def note(self, *, failed: bool) -> None:
        self.ended.append((time.monotonic(), failed))

    def lately(self) -> tuple[int, int]:
        """How many were taken in the last minute, and how many of them failed because of us."""
        since = time.monotonic() - WINDOW
        while self.ended and self.ended[0][0] < since:
            self.ended.popleft()
        return len(self.ended), sum(failed for _, failed in list(self.ended))


class _Counting(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, takings: Takings) -> None:
        super().__init__(next)
        self.takings = takings

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        key = object()
        self.takings.under_way[key] = input.fn.__name__
        try:
            result = await super().execute_activity(input)
        except Exception as error:
            ours = error.type in OURS if isinstance(error, ApplicationError) else True
            self.takings.note(failed=ours)
            raise
        finally:
            del self.takings.under_way[key]
        self.takings.note(failed=False)
        return result
