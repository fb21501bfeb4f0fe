"""How the early end of an order is sorted: who must hear of it, and what became of telling them."""

from enum import StrEnum

from orders.vocabulary.steps import FailureType


class FailureClass(StrEnum):
    """Who can do something about it."""

    VALIDATION = "validation"  # the customer: told by mail
    BUSINESS = "business"  # staff: a task
    SYSTEM = "system"  # whoever runs the system: a system event


#: what is not listed needs nobody: a person ended the order
CLASS_OF_FAILURE: dict[FailureType, FailureClass] = {
    FailureType.INVALID_ORDER: FailureClass.VALIDATION,
    FailureType.OUT_OF_STOCK: FailureClass.VALIDATION,
    FailureType.PAYMENT_DECLINED: FailureClass.VALIDATION,
    FailureType.CARRIER_REJECTED: FailureClass.VALIDATION,
    FailureType.SHIPMENT_REFUSED: FailureClass.BUSINESS,
    FailureType.OUTCOME_UNKNOWN: FailureClass.SYSTEM,
    FailureType.STEP_VOIDED: FailureClass.SYSTEM,
    FailureType.STALE_ATTEMPT: FailureClass.SYSTEM,
    FailureType.PARTNER_UNAVAILABLE: FailureClass.SYSTEM,
    FailureType.PARTNER_DOWN: FailureClass.SYSTEM,
}


class NoticeKind(StrEnum):
    """What a customer is told."""

    ORDER_FAILED = "order_failed"
    PAYMENT_ACTION = "payment_action"  # the bank asks for a confirmation; the mail has the link
    MESSAGE = "message"  # what a playbook writes to the customer


class NoticeStatus(StrEnum):
    QUEUED = "queued"
    SENT = "sent"  # the mail server took it
    FAILED = "failed"  # given up; may be sent again
    DROPPED = "dropped"  # nobody to send it to, or nothing to send it with; the note says which


#: a person may have these sent again
UNSENT_NOTICES = frozenset({NoticeStatus.FAILED, NoticeStatus.DROPPED})
ENDED_NOTICES = frozenset(NoticeStatus) - {NoticeStatus.QUEUED}
