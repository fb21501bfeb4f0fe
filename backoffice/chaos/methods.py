"""The published test payment methods of a run: which orders pay with them, and what staff do about each.

Names and outcomes are those of docs.stripe.com/testing, as the simulator has them. Everything that is not plain success
is here; the share of orders that use it is `--methods`.
"""

from dataclasses import dataclass

PLAIN, SLOW = "pm_card_visa", "pm_card_slow"
DECLINED = ("pm_card_chargeDeclined", "pm_card_chargeDeclinedInsufficientFunds", "pm_card_chargeDeclinedExpiredCard")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """Methods that behave alike."""

    tokens: tuple[str, ...]
    #: how often it is drawn, compared with the others
    weight: int = 1
    #: the order waits for the customer, who may be given another method meanwhile, or for the bank
    waits: bool = False
    can_change: bool = False
    #: its point is what becomes of a refund, so each such order gets one
    refunded: bool = False
    #: what comes back or is refunded by a playbook must be refundable at once
    refundable: bool = True


KINDS: dict[str, Kind] = {
    "declined": Kind(tokens=DECLINED, weight=4),
    "confirmed by the customer": Kind(
        tokens=("pm_card_authenticationRequired", "pm_card_threeDSecure2Required"),
        weight=5,
        waits=True,
        can_change=True,
    ),
    "confirmed, then declined": Kind(
        tokens=("pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",), waits=True, can_change=True
    ),
    "debit": Kind(
        tokens=("pm_bacsDebit_success", "pm_bacsDebit_successDelayed"), weight=4, waits=True, refundable=False
    ),
    "debit not paid": Kind(
        tokens=(
            *("pm_bacsDebit_insufficientFunds", "pm_bacsDebit_insufficientFundsDelayed"),
            *("pm_bacsDebit_debitNotAuthorized", "pm_bacsDebit_debitNotAuthorizedDelayed"),
        ),
        weight=3,
        waits=True,
        refundable=False,
    ),
    "refund fails": Kind(tokens=("pm_card_refundFail",), weight=4, refunded=True, refundable=False),
    "refund pending": Kind(tokens=("pm_card_pendingRefund",), weight=3, refunded=True, refundable=False),
    "disputed": Kind(
        tokens=("pm_card_createDispute", "pm_card_createDisputeProductNotReceived"), weight=4, refundable=False
    ),
    "inquiry": Kind(tokens=("pm_card_createDisputeInquiry",), refundable=False),
}
KIND_OF = {token: name for name, kind in KINDS.items() for token in kind.tokens}
USUAL = "plain"


def kind_of(token: str) -> str:
    """The name of the method's kind, for the report."""
    return KIND_OF.get(token, USUAL)
