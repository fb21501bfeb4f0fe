"""The saga: what must be undone if a later step fails or somebody cancels.

Three rules that cost money when broken, each measured: an undo is registered before its step is called, because a step
that timed out may have happened; `asyncio.CancelledError` is caught beside `Exception`, because a cancellation that
arrives between two activities is not an `Exception`; and the undo is shielded, because the cancellation that caused it
would otherwise cancel it too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import is_cancelled_exception

T = TypeVar("T")
Undo = Callable[[], Awaitable[None]]


class Saga:
    """Undo steps in the order in which their steps began."""

    def __init__(self, undo: Sequence[Undo] = ()) -> None:
        """`undo` are those that an earlier run has registered."""
        self._undo = list(undo)

    def __len__(self) -> int:
        return len(self._undo)

    def add(self, undo: Undo) -> None:
        """Register the undo of a step, once; call it before the step. It must be safe when nothing happened."""
        if undo not in self._undo:
            self._undo.append(undo)

    async def undo_all(self) -> None:
        """Run the undo steps, newest first, each until it succeeds. A second time runs all of them again."""
        for undo in reversed(self._undo):
            await undo()


def is_saga_failure(error: BaseException) -> bool:
    """Whether the saga must be undone. A bug in workflow code is not: it stops the task until it is mended."""
    return is_cancelled_exception(error) or workflow.is_failure_exception(error)


def raise_if_cancelled() -> None:
    """Raise the cancellation that a step swallowed by succeeding.

    With WAIT_CANCELLATION_COMPLETED a step that was under way when the cancellation came may still succeed, and the
    awaiting code then hears of the success only.
    """
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """Await `work` to its end whatever cancellation arrives meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            continue
    return task.result()
