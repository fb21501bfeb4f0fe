"""Work that waits for a person."""

from enum import StrEnum


class ReviewStatus(StrEnum):
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    CLOSED = "closed"  # the order ended before a verdict


class TaskKind(StrEnum):
    """Work that only a person can do; the process has no way on without them."""

    REFUND_OWED = "refund_owed"  # the gateway refuses to give money back that the customer is owed
    RECALL_BY_HAND = "recall_by_hand"  # the order ended, and its parcel was booked by a person: only they can stop it
    ESCALATION = "escalation"  # an order ended for a reason that staff must look into
    OUTCOME_UNKNOWN = "outcome_unknown"  # a partner does not say what became of a call that must be undone
    PARCEL_LEFT = "parcel_left"  # the carrier does not take the booking of a cancelled order back
    OVERDUE = "overdue"  # longer in its status than that status may take
    WEDGED = "wedged"  # its workflow task fails again and again
    PROCESS_ENDED = "process_ended"  # too many processes ended at once to undo them unasked
    DRIFT = "drift"  # database, Temporal and payment gateway tell different stories
    QUALITY_FAILED = "quality_failed"  # a shipped order did not pass its check
    PLAYBOOK = "playbook"  # a playbook asks for it
    BATCH_PAUSED = "batch_paused"  # too many orders of a batch failed: it stands until somebody resumes or cancels it


class TaskLevel(StrEnum):
    """Whose work it is."""

    AGENT = "agent"
    LEAD = "lead"


class TaskStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody has it
    DONE = "done"
