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
    PLAYBOOK = "playbook"  # a playbook asks for it


class TaskLevel(StrEnum):
    """Whose work it is."""

    AGENT = "agent"
    LEAD = "lead"


class TaskStatus(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"  # somebody has it
    DONE = "done"
