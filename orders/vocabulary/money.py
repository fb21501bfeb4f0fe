"""Currencies, payments, refunds and the accounts of the ledger."""

from enum import StrEnum


class Currency(StrEnum):
    """Currencies we trade in. All have two decimals: one major unit is 100 minor units."""

    GBP = "GBP"
    EUR = "EUR"
    USD = "USD"


MINOR_UNITS_PER_MAJOR = 100


class PaymentStatus(StrEnum):
    PENDING = "pending"  # nothing moved yet, or nobody knows yet
    CAPTURED = "captured"
    DECLINED = "declined"
    VOIDED = "voided"
    REFUNDED = "refunded"


class PaymentWait(StrEnum):
    """Whom a payment waits for that the gateway has begun and not ended."""

    CUSTOMER = "customer"  # the bank asks the customer for a confirmation
    BANK = "bank"  # a debit is under way; it succeeds or fails by itself, days later
    PERSON = "person"  # the gateway is in a state that our process does not know: staff must look


class RefundStatus(StrEnum):
    """A refund of a completed order. One that waits for a second person is an approval, and no refund yet."""

    REQUESTED = "requested"  # recorded; the gateway has not heard of it
    SENT = "sent"  # confirmed; the gateway may have heard of it
    PENDING = "pending"  # the gateway took it, the money is on its way and may still come back
    REFUSED = "refused"  # the gateway says no, at once or later: the money is owed
    DONE = "done"
    SETTLED = "settled"  # a person gave the money back another way
    DROPPED = "dropped"  # whoever asked for it may not any more; nothing was sent


#: their amounts are kept out of every other refund
OPEN_REFUNDS = frozenset({RefundStatus.REQUESTED, RefundStatus.SENT, RefundStatus.PENDING, RefundStatus.REFUSED})
#: those that a process is bringing to the gateway: of these an order has one at the most
MOVING_REFUNDS = frozenset({RefundStatus.REQUESTED, RefundStatus.SENT})
ENDED_REFUNDS = frozenset(RefundStatus) - OPEN_REFUNDS


class LedgerAccount(StrEnum):
    """Accounts of the double-entry ledger; every transfer debits one and credits another."""

    GATEWAY = "gateway"  # money the payment gateway holds for us
    CUSTOMER = "customer"  # what we owe the customer until the goods leave
    SALES = "sales"  # earned by goods that left
    BY_HAND = "by_hand"  # given back outside of the gateway, by somebody's word
    DISPUTED = "disputed"  # taken back by the customer's bank until a dispute is decided


class DisputeStatus(StrEnum):
    """A payment that the customer's bank questions."""

    INQUIRY = "inquiry"  # the bank asks; no money has left
    OPEN = "open"  # the bank took the money back until it decides
    WON = "won"  # the money came back to us
    LOST = "lost"  # the money stays with the customer
    CLOSED = "closed"  # an inquiry that ended without a dispute


OPEN_DISPUTES = frozenset({DisputeStatus.INQUIRY, DisputeStatus.OPEN})
CLOSED_DISPUTES = frozenset(DisputeStatus) - OPEN_DISPUTES


class EventSource(StrEnum):
    """How an event of the gateway reached us."""

    WEBHOOK = "webhook"
    POLL = "poll"  # read from the gateway's list, because nobody brought it
