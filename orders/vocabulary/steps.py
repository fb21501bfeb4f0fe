"""The fenced steps of an order's process, and why a process ends early."""

from enum import StrEnum


class StepName(StrEnum):
    """The fenced steps of an order; a step's key is `<order id>:<name>`."""

    VALIDATE = "validate"
    RESERVE = "reserve"
    FRAUD = "fraud"
    CHARGE = "charge"
    SHIP = "ship"
    COMPLETE = "complete"
    RELEASE = "release"
    REFUND = "refund"
    RECALL = "recall"
    CLOSE = "close"


#: steps that ask a partner: Temporal schedules each attempt, and a person may drive them
PARTNER_STEPS = frozenset({StepName.FRAUD, StepName.CHARGE, StepName.SHIP, StepName.REFUND, StepName.RECALL})

#: steps that a person may take over: what the partner does there can be done without it
SKIPPABLE_STEPS = frozenset({StepName.FRAUD, StepName.SHIP})


class StepStatus(StrEnum):
    OPEN = "open"  # claimed; the effect may or may not have happened
    DONE = "done"  # the effect is committed
    VOID = "void"  # an undo came first; the effect may never commit


class FailureType(StrEnum):
    """Why an order's process ended without shipping; the same string is `ApplicationError.type`."""

    INVALID_ORDER = "invalid_order"
    OUT_OF_STOCK = "out_of_stock"
    PAYMENT_DECLINED = "payment_declined"
    CARRIER_REJECTED = "carrier_rejected"
    OUTCOME_UNKNOWN = "outcome_unknown"
    STEP_VOIDED = "step_voided"
    STALE_ATTEMPT = "stale_attempt"
    NOT_THE_PROCESS = "not_the_process"
    PARTNER_UNAVAILABLE = "partner_unavailable"
    PARTNER_DOWN = "partner_down"  # not a failure: the step waits until the partner answers again
    CANCELLED = "cancelled"
    REVIEW_REJECTED = "review_rejected"
    ON_HOLD = "on_hold"  # not a failure: the step waits until a person releases the order
    INVALID_FEED = "invalid_feed"
    SHIPMENT_REFUSED = "shipment_refused"  # by the carrier, for a reason that is not the address
    PARTNER_REFUSED = "partner_refused"
    PROCESS_ENDED = "process_ended"  # terminated or lost at Temporal; the sweep had it undone
    STEP_FAILED = "step_failed"  # a step of a playbook has used its attempts
    RUN_PAUSED = "run_paused"  # not a failure: the step waits until a person resumes the run
    INVALID_PLAYBOOK = "invalid_playbook"
    REQUEST_REFUSED = "request_refused"  # not a failure: a partner refuses our request; the step is parked with a task
    STEP_MISSING = "step_missing"  # not a failure: the database does not know a step that should have come before
