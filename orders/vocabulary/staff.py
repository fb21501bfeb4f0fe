"""Work that waits for a person."""

from enum import StrEnum


class AccountEvent(StrEnum):
    """What happened to an account that makes it fresh."""

    CREATED = "created"
    PASSWORD = "password"
    ROLE = "role"
    ACTIVE = "active"
    EMAIL = "email"
    FACTOR = "factor"


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
    PROCESS_ENDED = "process_ended"  # its order has shipped, or too many ended at once: nothing is undone unasked
    DRIFT = "drift"  # database, Temporal and payment gateway tell different stories
    RUN = "run"  # the process of a refund, a batch or another run is gone or wedged
    INCIDENT = "incident"  # many stand still for the same cause
    RESTORED = "restored"  # the database is older than what Temporal has done
    QUALITY_FAILED = "quality_failed"  # a shipped order did not pass its check
    PLAYBOOK = "playbook"  # a playbook asks for it
    PAYMENT_STATE = "payment_state"  # the gateway has the payment in a state that our process does not know
    REQUEST_REFUSED = "request_refused"  # a partner refuses our request as wrong: the step is parked
    REFUND_OUTSIDE = "refund_outside"  # somebody gave money back at the gateway, and not through us
    DISPUTE = "dispute"  # the customer's bank questions the payment
    BATCH_PAUSED = "batch_paused"  # too many orders of a batch failed: it stands until somebody resumes or cancels it


class RecoveryDecision(StrEnum):
    """What a lead has done with an order whose process is gone."""

    UNDO = "undo"
    FINISH = "finish"  # its parcel was booked: book the sale and close it as completed


class IncidentDecision(StrEnum):
    """What a lead decides for all that an incident is about."""

    RETRY = "retry"  # each failing step is tried again at once
    RESOLVE = "resolve"  # each task is resolved, with all that follows from that


class TaskLevel(StrEnum):
    """Whose work it is."""

    AGENT = "agent"
    LEAD = "lead"


class TaskStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody has it
    DONE = "done"
