"""Long-running processes of configured steps: how a run and each of its steps stand."""

from enum import StrEnum


class ProcessName(StrEnum):
    """What is defined in `orders/services/processes/definitions.py`."""

    DAY_END_CLOSE = "day_end_close"


class ProcessStatus(StrEnum):
    RUNNING = "running"
    PAUSING = "pausing"  # a pause was asked for; the step under way ends first
    PAUSED = "paused"
    CANCELLING = "cancelling"  # a cancellation was asked for; the step under way ends first
    CANCELLED = "cancelled"
    COMPLETED = "completed"
    FAILED = "failed"  # a step failed after which it may not go on


class ProcessStepName(StrEnum):
    SETTLE_CAPTURES = "settle_captures"
    RECONCILE = "reconcile"
    RELEASE_STALE = "release_stale"
    REFRESH_TRACKING = "refresh_tracking"
    SEND_SUMMARY = "send_summary"


class ProcessStepStatus(StrEnum):
    PENDING = "pending"
    WAITING = "waiting"  # the next one; its delay runs
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # never begun, or stopped on the way


class OnFailure(StrEnum):
    """What a failed step means for those after it."""

    STOP = "stop"
    CONTINUE = "continue"


class DifferenceKind(StrEnum):
    """How our books differ from themselves or from a partner's."""

    LEDGER = "ledger"  # a payment and its bookings
    UNKNOWN_TO_US = "unknown_to_us"
    MISSING_AT_GATEWAY = "missing_at_gateway"
    AMOUNT = "amount"
    STOCK = "stock"  # pieces that a shipped order still holds
    SHIPMENT = "shipment"


OPEN_PROCESS_STATUSES = frozenset(
    {ProcessStatus.RUNNING, ProcessStatus.PAUSING, ProcessStatus.PAUSED, ProcessStatus.CANCELLING}
)
ENDED_PROCESS_STATUSES = frozenset(ProcessStatus) - OPEN_PROCESS_STATUSES
ENDED_PROCESS_STEPS = frozenset({ProcessStepStatus.DONE, ProcessStepStatus.FAILED, ProcessStepStatus.SKIPPED})
#: a run that ended like this leaves its day open: another one may be started
DAY_STAYS_OPEN = frozenset({ProcessStatus.CANCELLED, ProcessStatus.FAILED})


class ProcessNext(StrEnum):
    """What the process of a run has to do now."""

    STEP = "step"
    WAIT = "wait"  # for the step's delay, or until it is told to look again
    PARK = "park"  # until it is told to look again
    END = "end"
