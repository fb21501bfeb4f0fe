"""Batches: one action on many orders, how far it is, and what became of each order."""

from enum import StrEnum


class BatchAction(StrEnum):
    """What a batch does to each of its orders; `orders.services.batches.actions` says how."""

    START = "start"
    HOLD = "hold"
    RELEASE = "release"
    CANCEL = "cancel"
    PLACE_AGAIN = "place_again"  # a copy of an order that failed
    REPRICE = "reprice"  # the catalogue's prices of today, while nothing has begun
    PLAYBOOK = "playbook"  # a run of a published playbook on each order
    RECHECK = "recheck"  # reads only: stock, address and prices as they are today
    CHECK_SHIPMENT = "check_shipment"  # reads only: does the carrier say what we say
    REFRESH_TRACKING = "refresh_tracking"  # what the carrier tells of the parcel is kept


class BatchMode(StrEnum):
    """How the work is done; the action decides."""

    CHILDREN = "children"  # a process of its own for each order, or a playbook's run, in a sliding window
    CHUNKS = "chunks"  # hundreds of orders in one transaction
    PARALLEL = "parallel"  # one activity for each order, on the queue of the partners


class BatchStatus(StrEnum):
    PREPARING = "preparing"  # frozen; its process has not begun
    RUNNING = "running"
    PAUSING = "pausing"  # nothing new begins; what was begun ends first
    PAUSED = "paused"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    COMPLETED = "completed"


ENDED_BATCHES = frozenset({BatchStatus.CANCELLED, BatchStatus.COMPLETED})
OPEN_BATCHES = frozenset(BatchStatus) - ENDED_BATCHES


class ItemStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # left out from the beginning, or the batch was cancelled before its turn


OPEN_ITEMS = frozenset({ItemStatus.PENDING, ItemStatus.RUNNING})
ENDED_ITEMS = frozenset(ItemStatus) - OPEN_ITEMS


class Exclusion(StrEnum):
    """Why a selected order is left out of a batch."""

    IN_ANOTHER_BATCH = "in_another_batch"
    CLOSED = "closed"
    SHIPPED = "shipped"
    BEING_UNDONE = "being_undone"
    HIGH_RISK = "high_risk"
    HELD_ALREADY = "held_already"
    NOT_HELD = "not_held"
    HELD_BY_OTHERS = "held_by_others"
    STARTED_ALREADY = "started_already"
    ON_HOLD = "on_hold"
    CANCELLED_ALREADY = "cancelled_already"
    NOT_SHIPPED = "not_shipped"
    CHARGED = "charged"
    NOT_FAILED = "not_failed"
    PLACED_AGAIN_ALREADY = "placed_again_already"
    REFUND_OUTSTANDING = "refund_outstanding"
    DELIVERED = "delivered"
    BATCH_CANCELLED = "batch_cancelled"  # not at the freeze: the batch ended before its turn


class ItemFailure(StrEnum):
    """Why an action failed for one order, where the order itself has no failure that says it."""

    WRONG_STATE = "wrong_state"
    NOT_PERMITTED = "not_permitted"
    PLAYBOOK_REFUSED = "playbook_refused"  # it was retired meanwhile, or does not take its inputs
    PLAYBOOK_FAILED = "playbook_failed"
    PLAYBOOK_CANCELLED = "playbook_cancelled"
    PLAYBOOK_PARKED = "playbook_parked"  # a step of the run failed, and waits for a person
    DATABASE = "database"
    UNEXPECTED = "unexpected"


class Verdict(StrEnum):
    """What the process of a batch may do now."""

    GO = "go"
    STOP = "stop"  # begin nothing; what runs may end
    STILL = "still"  # paused: wait for somebody
    ENDED = "ended"


#: the most orders that one batch takes
MAX_BATCH_ORDERS = 500_000
#: the most numbers that one call may name; more are chosen by a filter
MAX_BATCH_NUMBERS = 10_000
DEFAULT_AUTO_PAUSE_PERCENT = 20
#: so many items must have ended before a share of failures says anything
AUTO_PAUSE_AFTER = 20
