"""The partners, and whether they may be called."""

from enum import StrEnum

from orders.vocabulary.steps import StepName


class PartnerCode(StrEnum):
    PAYMENTS = "payments"
    CARRIER = "carrier"
    FRAUD = "fraud"
    RATES = "rates"
    ADDRESSES = "addresses"


class BreakerState(StrEnum):
    """Whether a partner may be called."""

    CLOSED = "closed"  # it answers; everybody may call
    OPEN = "open"  # it is out of order; nobody calls until the next try
    HALF_OPEN = "half_open"  # one call tries whether it is back
    HELD = "held"  # a person stopped all calls


#: the steps that call a partner
STEPS_OF_PARTNER: dict[PartnerCode, tuple[StepName, ...]] = {
    PartnerCode.PAYMENTS: (StepName.CHARGE, StepName.REFUND),
    PartnerCode.CARRIER: (StepName.SHIP, StepName.RECALL),
    PartnerCode.FRAUD: (StepName.FRAUD,),
}
