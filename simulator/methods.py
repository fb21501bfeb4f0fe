"""The published test payment methods: the name of one decides what happens to the payment that uses it.

Names and outcomes are those of docs.stripe.com/testing?testing-method=payment-methods and, for bank debits, of the
page of each debit. A name that is not here is refused, as an unknown one is at Stripe. Ours are `pm_card_slow`,
`pm_seeded_decline_<percent>` and `pm_refund_requires_action`.
"""

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What a bank answers: the error's code, the issuer's own code and the sentence for the customer."""

    code: str
    decline_code: str | None
    message: str


@dataclass(frozen=True, kw_only=True)
class Method:
    """What one payment method does."""

    type: Literal["card", "bacs_debit", "sepa_debit", "us_bank_account"] = "card"
    #: asks the customer: always, or only while the customer is there (it was set up for later payments)
    authenticates: Literal["always", "on_session"] | None = None
    #: for a card at once, or after the customer confirmed; for a debit at the end of `processing`
    refusal: Refusal | None = None
    #: a debit that the docs call delayed, or that stays in `processing`
    debit: Literal["soon", "delayed", "never"] = "soon"
    dispute: Literal["fraudulent", "product_not_received", "inquiry", "debit_not_authorized"] | None = None
    refund: Literal["succeeds", "pending", "fails", "requires_action"] = "succeeds"

    @property
    def is_debit(self) -> bool:
        """Say whether the money comes by a bank debit, days after the confirmation."""
        return self.type != "card"


#: the one currency of each debit, by its own page
DEBIT_CURRENCIES = {"bacs_debit": "gbp", "sepa_debit": "eur", "us_bank_account": "usd"}

GENERIC = Refusal(code="card_declined", decline_code="generic_decline", message="Your card was declined.")
INSUFFICIENT_FUNDS = Refusal(
    code="card_declined", decline_code="insufficient_funds", message="Your card has insufficient funds."
)
AUTHENTICATION_REQUIRED = Refusal(
    code="authentication_required",
    decline_code="authentication_required",
    message="Your card was declined. This transaction requires authentication.",
)
PROCESSING_ERROR = Refusal(
    code="processing_error",
    decline_code="processing_error",
    message="An error occurred while processing your card. Try again in a little bit.",
)

#: suffix of pm_card_chargeDeclined... and pm_card_visa_chargeDeclined...
DECLINES = {
    "": GENERIC,
    "InsufficientFunds": INSUFFICIENT_FUNDS,
    "LostCard": Refusal(code="card_declined", decline_code="lost_card", message="Your card was declined."),
    "StolenCard": Refusal(code="card_declined", decline_code="stolen_card", message="Your card was declined."),
    "Fraudulent": Refusal(code="card_declined", decline_code="fraudulent", message="Your card was declined."),
    "ExpiredCard": Refusal(code="expired_card", decline_code="expired_card", message="Your card has expired."),
    "IncorrectCvc": Refusal(
        code="incorrect_cvc", decline_code="incorrect_cvc", message="Your card's security code is incorrect."
    ),
    "ProcessingError": PROCESSING_ERROR,
    "VelocityLimitExceeded": Refusal(
        code="card_declined",
        decline_code="card_velocity_exceeded",
        message="Your card was declined for making repeated attempts too frequently or exceeding its amount limit.",
    ),
}
BRANDS = (
    *("visa", "visa_debit", "mastercard", "mastercard_debit", "mastercard_prepaid", "amex", "discover", "diners"),
    *("jcb", "unionpay", "us", "ca", "mx", "br", "at", "be", "ch", "cz", "de", "dk", "es", "fi", "fr", "gb"),
    *("gb_debit", "gr", "hu", "ie", "it", "lu", "nl", "no", "pl", "pt", "ro", "se", "si", "sk", "au", "jp", "nz", "sg"),
)


def _bank(code: str, message: str) -> Refusal:
    return Refusal(code=code, decline_code=None, message=message)


NO_FUNDS = _bank("insufficient_funds", "The customer's account has insufficient funds to cover this payment.")
NOT_AUTHORIZED = _bank("debit_not_authorized", "The customer has notified their bank that this debit was unauthorized.")
ACCOUNT_CLOSED = _bank("account_closed", "The customer's bank account has been closed.")
NO_ACCOUNT = _bank("no_account", "The bank account could not be found.")
WEEKLY_LIMIT = _bank("charge_exceeds_source_limit", "This payment exceeds the weekly limit of the bank account.")
PAYMENT_LIMIT = _bank("charge_exceeds_transaction_limit", "This payment exceeds the limit of a single payment.")
COULD_NOT_PROCESS = _bank("payment_intent_payment_attempt_failed", "This payment could not be processed.")


def _bacs(refusal: Refusal | None = None, debit: Literal["soon", "delayed"] = "soon") -> Method:
    return Method(type="bacs_debit", refusal=refusal, debit=debit, refund="pending")


def _sepa(refusal: Refusal | None = None, debit: Literal["soon", "delayed"] = "soon") -> Method:
    return Method(type="sepa_debit", refusal=refusal, debit=debit, refund="pending")


def _ach(refusal: Refusal | None = None) -> Method:
    return Method(type="us_bank_account", refusal=refusal, refund="pending")


METHODS: dict[str, Method] = {
    **{f"pm_card_{brand}": Method() for brand in BRANDS},
    **{f"pm_card_chargeDeclined{suffix}": Method(refusal=refusal) for suffix, refusal in DECLINES.items()},
    **{f"pm_card_visa_chargeDeclined{suffix}": Method(refusal=refusal) for suffix, refusal in DECLINES.items()},
    "pm_card_chargeCustomerFail": Method(refusal=GENERIC),
    "pm_card_radarBlock": Method(refusal=DECLINES["Fraudulent"]),
    "pm_card_authenticationRequired": Method(authenticates="always"),
    "pm_card_authenticationRequiredOnSetup": Method(authenticates="always"),
    "pm_card_authenticationRequiredSetupForOffSession": Method(authenticates="on_session"),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Method(
        authenticates="always", refusal=INSUFFICIENT_FUNDS
    ),
    "pm_card_threeDSecure2Required": Method(authenticates="always"),
    "pm_card_threeDSecureRequired": Method(authenticates="always"),
    "pm_card_threeDSecureRequiredChargeDeclined": Method(authenticates="always", refusal=GENERIC),
    "pm_card_threeDSecureRequiredProcessingError": Method(refusal=GENERIC),
    "pm_card_threeDSecureOptional": Method(),
    "pm_card_amex_threeDSecureNotSupported": Method(),
    "pm_card_createDispute": Method(dispute="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Method(dispute="product_not_received"),
    "pm_card_createDisputeInquiry": Method(dispute="inquiry"),
    "pm_card_refundFail": Method(refund="fails"),
    "pm_card_pendingRefund": Method(refund="pending"),
    "pm_bacsDebit_success": _bacs(),
    "pm_bacsDebit_successDelayed": _bacs(debit="delayed"),
    "pm_bacsDebit_debitNotAuthorized": _bacs(NOT_AUTHORIZED),
    "pm_bacsDebit_debitNotAuthorizedDelayed": _bacs(NOT_AUTHORIZED, "delayed"),
    "pm_bacsDebit_insufficientFunds": _bacs(NO_FUNDS),
    "pm_bacsDebit_insufficientFundsDelayed": _bacs(NO_FUNDS, "delayed"),
    "pm_bacsDebit_dispute": Method(
        type="bacs_debit", debit="delayed", dispute="debit_not_authorized", refund="pending"
    ),
    "pm_bacsDebit_exceedsWeeklyLimit": _bacs(WEEKLY_LIMIT),
    "pm_bacsDebit_exceedsTransactionLimit": _bacs(PAYMENT_LIMIT),
    # Published per country; these are the Austrian ones.
    "pm_sepaDebit_success_at": _sepa(),
    "pm_sepaDebit_successDelayed_at": _sepa(debit="delayed"),
    "pm_sepaDebit_failed_at": _sepa(COULD_NOT_PROCESS),
    "pm_sepaDebit_failedDelayed_at": _sepa(COULD_NOT_PROCESS, "delayed"),
    "pm_usBankAccount_success": _ach(),
    "pm_usBankAccount_accountClosed": _ach(ACCOUNT_CLOSED),
    "pm_usBankAccount_noAccount": _ach(NO_ACCOUNT),
    "pm_usBankAccount_insufficientFunds": _ach(NO_FUNDS),
    "pm_usBankAccount_debitNotAuthorized": _ach(NOT_AUTHORIZED),
    "pm_usBankAccount_weeklyLimitExceeded": _ach(WEEKLY_LIMIT),
    "pm_usBankAccount_dispute": Method(type="us_bank_account", dispute="debit_not_authorized", refund="pending"),
    "pm_usBankAccount_processing": Method(type="us_bank_account", debit="never"),
    "pm_card_slow": Method(),
    "pm_refund_requires_action": Method(refund="requires_action"),
}
SEEDED = re.compile(r"pm_seeded_decline_(100|[0-9]{1,2})")
SLOW = "pm_card_slow"
SLOW_SECONDS = 1.5


def find(token: str) -> Method | None:
    """Return what the method does, None for one that nobody knows."""
    return METHODS.get(token) or (Method() if SEEDED.fullmatch(token) else None)
