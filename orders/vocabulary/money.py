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


class RefundStatus(StrEnum):
    """A refund of a completed order. One that waits for a second person is an approval, and no refund yet."""

    REQUESTED = "requested"  # recorded; the gateway has not heard of it
    SENT = "sent"  # confirmed; the gateway may have heard of it
    REFUSED = "refused"  # the gateway says no: the money is owed
    DONE = "done"
    SETTLED = "settled"  # a person gave the money back another way
    DROPPED = "dropped"  # whoever asked for it may not any more; nothing was sent


#: their amounts are kept out of every other refund
OPEN_REFUNDS = frozenset({RefundStatus.REQUESTED, RefundStatus.SENT, RefundStatus.REFUSED})
ENDED_REFUNDS = frozenset(RefundStatus) - OPEN_REFUNDS


class LedgerAccount(StrEnum):
    """Accounts of the double-entry ledger; every transfer debits one and credits another."""

    GATEWAY = "gateway"  # money the payment gateway holds for us
    CUSTOMER = "customer"  # what we owe the customer until the goods leave
    SALES = "sales"  # earned by goods that left
    BY_HAND = "by_hand"  # given back outside of the gateway, by somebody's word
