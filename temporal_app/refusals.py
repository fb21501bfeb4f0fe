"""What was refused from Temporal, as staff hear of it: a system event for each workflow and kind, counted.

Written beside the workflow's task, which must not wait for a database. A flood is bounded: of many refusals within
seconds some are only in the log.
"""

import asyncio
import contextlib
from collections import deque
from functools import partial
from uuid import UUID

from orders.services import system_events
from temporal_app.authenticity import Refusal, note
from temporal_app.connections import with_fresh_connection
from temporal_app.policies import UNREADABLE
from temporal_app.workflow_ids import ORDER_PREFIX

#: seconds between two looks
EVERY = 1.0
#: of one look
AT_MOST = 20


class Refusals:
    """Takes refusals from the threads of workflows, and writes them down on the worker's loop."""

    def __init__(self) -> None:
        self._waiting: deque[Refusal] = deque(maxlen=AT_MOST)

    def tell(self, refusal: Refusal) -> None:
        note(refusal)
        self._waiting.append(refusal)

    async def write_down(self, stop: asyncio.Event) -> None:
        """Until `stop`; what was told before it is written too."""
        stopping = False
        while not stopping:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)
            stopping = stop.is_set()
            while self._waiting:
                await asyncio.to_thread(with_fresh_connection, partial(remember, self._waiting.popleft()))


def remember(refusal: Refusal) -> None:
    system_events.remember(
        UNREADABLE,
        f"Not written by us, and refused: {refusal.what} {refusal.name}. {refusal.reason}",
        workflow_id=refusal.workflow_id,
        run_id=refusal.run_id,
        activity=refusal.what,
        order_id=_order_id(refusal.workflow_id),
    )


def _order_id(workflow_id: str) -> str | None:
    """Of an order's process; whoever reaches Temporal may name a workflow as they like."""
    business_id = workflow_id.removeprefix(ORDER_PREFIX)
    try:
        return str(UUID(business_id)) if business_id != workflow_id else None
    except ValueError:
        return None
