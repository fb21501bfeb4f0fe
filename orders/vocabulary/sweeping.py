"""What the sweep looks for, and what it may find Temporal to say of an order's process."""

from enum import StrEnum


class FindingKind(StrEnum):
    """Trouble that nobody reported: found by comparing what is with what should be."""

    OVERDUE = "overdue"  # longer in its status than that status may take
    PROCESS_LOST = "process_lost"  # started, and Temporal never heard of it
    PROCESS_ENDED = "process_ended"  # ended from outside while the order was open
    PROCESS_RESET = "process_reset"  # an operator reset it; it goes on in another run
    WEDGED = "wedged"  # its workflow task fails again and again: a bug, or a deploy
    RUNS_ON = "runs_on"  # the order is closed, its process still runs
    DRIFT = "drift"  # our books and the payment gateway's tell different stories


#: the engine cannot go on with the order until somebody mends something
STANDSTILLS = frozenset({FindingKind.PROCESS_LOST, FindingKind.PROCESS_ENDED, FindingKind.WEDGED})


#: what can be wrong with an order that has ended
OF_CLOSED_ORDERS = frozenset({FindingKind.RUNS_ON, FindingKind.DRIFT})


class RunState(StrEnum):
    """What Temporal says of a process."""

    MISSING = "missing"  # it knows no such workflow
    BROKEN = "broken"  # terminated, failed or timed out: no undo ran
    CLOSED = "closed"  # ended with a result or as cancelled
    RUNNING = "running"
    RESET = "reset"  # runs, in another run than the first one
    WEDGED = "wedged"  # runs, and its task fails again and again


class SweepPart(StrEnum):
    """The parts of a sweep; each remembers when it ran and where it stopped."""

    DEADLINES = "deadlines"
    PROCESSES = "processes"
    BOOKS = "books"
