"""How a workflow waits for somebody: a signal wakes it, a timer stands beside it, and its history stays short.

What was told stands in the database. So a signal may come with anything, and says no more than "look"; one that is
lost, refused, or over the server's limit costs the minutes until the timer.
"""

from collections.abc import Sequence
from datetime import timedelta

from temporalio import workflow

#: pauses between two looks of a workflow that nobody tells anything; the last one is repeated
LOOKS = (timedelta(minutes=10), timedelta(minutes=20), timedelta(hours=1))
#: of one run; the server ends it at 51,200 events and takes no more than 10,000 signals
EVENTS = 4_000
SIGNALS = 1_000
#: versions of this code, as recorded histories know them
TIMER = "timer-beside-each-wait"
ANY_INPUT = "signals-with-any-input"
LONG_RUNS = "continue-as-new-when-long"


class Wakes:
    """The signals of one run that only wake."""

    def __init__(self, *fields: str) -> None:
        """`fields` are those of the one argument that was asked for when signals had to have the right input."""
        #: how many have come; a change wakes whoever waits
        self.told = 0
        self._fields = set(fields)
        #: looks without a word before them
        self._looks = 0

    def come(self, given: Sequence[object]) -> None:
        """A signal came, with whatever arguments. One with a wrong input was dropped by the version before."""
        if self._is_usual(given) or workflow.patched(ANY_INPUT):
            self.told += 1

    def _is_usual(self, given: Sequence[object]) -> bool:
        if not self._fields:
            return not given
        return len(given) == 1 and isinstance(given[0], dict) and given[0].keys() == self._fields

    async def next(self, told: int, *, within: timedelta | None = None) -> None:
        """Until a signal comes that was not known at `told`, or for `within`.

        Without it, and where it is longer than the longest of them, for a pause that grows.
        """
        longer = within > LOOKS[-1] if within is not None else workflow.patched(TIMER)
        if longer:
            within = LOOKS[min(self._looks, len(LOOKS) - 1)]
        try:
            await workflow.wait_condition(lambda: self.told > told, timeout=within)
            self._looks = 0
        except TimeoutError:
            self._looks += 1


def is_long(signals: int = 0, *, as_ever: bool = False) -> bool:
    """Whether the run should continue as new here, after so many signals; ask where that loses nothing.

    `as_ever` is for places at which every version did as the server suggests.
    """
    info = workflow.info()
    suggested = info.is_continue_as_new_suggested()
    if as_ever and suggested:
        return True
    # Also counted: signals that were refused are events too, and the server's limits are not the only ones.
    counted = info.get_current_history_length() > EVENTS or signals > SIGNALS
    return (suggested or counted) and workflow.patched(LONG_RUNS)
