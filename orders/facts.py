"""What the status sentence of an order is made of, and what it is: facts in, a standing out.

Apart from the sentences, so that whoever reads the facts from the database need not read prose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orders.returned import Returned
from orders.vocabulary import DisputeStatus, FindingKind, OrderStatus, PaymentWait, StepName
from orders.wording import Tone


@dataclass(frozen=True, kw_only=True)
class Outage:
    """A partner that is not called now."""

    #: "the carrier"
    partner: str
    since: datetime
    #: None when a person stopped the calls
    next_try_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OpenStep:
    """The step that is under way, as the fence knows it."""

    name: StepName
    #: how often it was claimed, this time included
    attempt: int
    claimed_at: datetime
    last_error: str = ""
    last_error_at: datetime | None = None
    #: the partner it waits for, when that is out of order or its calls are held
    outage: Outage | None = None

    @property
    def waits(self) -> bool:
        """The newest attempt has failed and the next one has not begun."""
        return self.last_error_at is not None and self.last_error_at >= self.claimed_at


@dataclass(frozen=True, kw_only=True)
class Review:
    """The case that waits for a verdict."""

    why: str
    deadline_at: datetime
    owner: str = ""
    question: str = ""
    escalated: bool = False
    needs_second: bool = False
    first_by: str = ""


@dataclass(frozen=True, kw_only=True)
class PaymentWaiting:
    """Whom the payment waits for."""

    whom: PaymentWait
    since: datetime
    #: when the wait ends; None when it does not by itself
    until: datetime | None = None
    #: whether there is a link by which the customer confirms
    has_link: bool = False
    #: the gateway's own word
    gateway_status: str = ""


@dataclass(frozen=True, kw_only=True)
class Disputed:
    """The newest dispute of the payment that still matters."""

    status: DisputeStatus
    #: formatted
    amount: str
    #: the bank's word, for people
    reason: str
    opened_at: datetime
    evidence_due_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Standstill:
    """The sweep found that the engine cannot go on with the order."""

    kind: FindingKind
    since: datetime
    says: str


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Everything that a standing is made of; all of it comes from the database."""

    now: datetime
    status: OrderStatus
    since: datetime
    total: str
    line_count: int
    #: None when nothing is under way
    step: OpenStep | None = None
    #: empty when a worker beats, else how long none has been seen, in words
    engine_trouble: str = ""
    #: why the start could not be handed to Temporal yet
    outbox_error: str = ""
    failure_type: str = ""
    failure_message: str = ""
    #: what the customer got back, formatted; empty when nothing had moved
    refunded: str = ""
    #: what was taken and not given back, formatted; empty when nothing is
    kept: str = ""
    #: what of refunds the gateway refused or failed, formatted, and why; empty when nothing is owed
    owed: str = ""
    owed_why: str = ""
    #: a refund that is under way, formatted; and what of it the gateway has taken and not ended
    refunding: str = ""
    on_its_way: str = ""
    disputed: Disputed | None = None
    may_start: bool = False
    #: who holds the order and why; empty when nobody does
    held: str = ""
    #: when the hold and the pause end by themselves
    held_until: datetime | None = None
    paused_until: datetime | None = None
    #: who told the step to do without its partner, or with another payment method, and why
    told: str = ""
    #: who cancelled the order and why; empty when nobody did
    cancelled: str = ""
    #: the number of the order that a person placed instead of a failed one
    placed_as: str = ""
    #: what the open task of a parked step or refund says: the partner refuses our request; empty when nothing is parked
    parked: str = ""
    #: who paused the failing step and why; empty when nobody did
    paused: str = ""
    review: Review | None = None
    #: what came back or will; None when nothing does
    returned: Returned | None = None
    standstill: Standstill | None = None
    payment_waits: PaymentWaiting | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """The first thing on an order's page."""

    headline: str
    tone: Tone
    #: why it waits or how it came to this; may be empty
    why: str = ""
    #: what happens next without anybody doing anything
    coming: str = ""
    #: what the reader can do
    you_can: str = ""
