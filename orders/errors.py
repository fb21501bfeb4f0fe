"""What can go wrong in the domain, as types that say who must act.

Without them an activity cannot tell "the card was refused" (final, undo) from "the gateway did not answer" (retry),
and the API cannot tell a bad field (400) from a wrong moment (409). Each class names its `FailureType`; the docstring
is the default message.
"""

from datetime import datetime, timedelta

from orders.vocabulary import FailureType


class DomainError(Exception):
    """The order could not be processed."""

    failure_type: FailureType = FailureType.INVALID_ORDER

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (self.__doc__ or "").strip())


class InvalidInput(DomainError):
    """A field breaks a rule. Nothing was stored and nothing was started."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class NotPermitted(DomainError):
    """You do not have the permission for this action."""

    def __init__(self, message: str | None = None, *, permission: str = "") -> None:
        #: what was missing, as "app.codename"; empty when it is something else than a permission
        self.permission = permission
        super().__init__(message)


class TooManyDownloads(DomainError):
    """You have too many downloads under way. Wait until one of them has ended."""


class TooManyWorkbooks(DomainError):
    """Too many workbooks are being read at the moment. Send it again in a minute, or send CSV."""


class WrongState(DomainError):
    """The order is not in a state that allows this."""


class AlreadyExists(DomainError):
    """Something with this name exists already."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class OutOfStock(DomainError):
    """There is not enough stock."""

    failure_type = FailureType.OUT_OF_STOCK


class PaymentDeclined(DomainError):
    """The payment was declined."""

    failure_type = FailureType.PAYMENT_DECLINED


class CarrierRejected(DomainError):
    """The carrier does not take this shipment."""

    failure_type = FailureType.CARRIER_REJECTED


class ShipmentRefused(CarrierRejected):
    """The carrier refuses this shipment for a reason that is not its address."""

    failure_type = FailureType.SHIPMENT_REFUSED


class StepVoided(DomainError):
    """The step was undone before it could commit; it may never commit now."""

    failure_type = FailureType.STEP_VOIDED


class StaleAttempt(DomainError):
    """Another attempt claimed the step after this one; this one may not commit."""

    failure_type = FailureType.STALE_ATTEMPT


class NotTheProcess(DomainError):
    """Another run already processes this order."""

    failure_type = FailureType.NOT_THE_PROCESS


class NoSuchOrder(DomainError):
    """The database does not have this order; its process has nothing to do."""

    failure_type = FailureType.NOT_THE_PROCESS


class OnHold(DomainError):
    """The order is on hold; its next step begins when a person releases it."""

    failure_type = FailureType.ON_HOLD


class CancelAsked(DomainError):
    """The order was cancelled."""

    failure_type = FailureType.CANCELLED


class ReviewRejected(DomainError):
    """The order was rejected in review."""

    failure_type = FailureType.REVIEW_REJECTED


class PartnerUnavailable(DomainError):
    """The partner did not answer; whether the call had an effect is unknown. Retry after a look-up."""

    failure_type = FailureType.PARTNER_UNAVAILABLE
    #: set when the partner is known to be out of order, or says when to come back: how long to wait before the next try
    retry_after: timedelta | None = None


class PartnerDown(PartnerUnavailable):
    """The partner is out of order and was not called; nothing happened."""

    failure_type = FailureType.PARTNER_DOWN

    def __init__(self, message: str, *, since: datetime, retry_after: timedelta) -> None:
        self.since = since
        self.retry_after = retry_after
        super().__init__(message)


class PartnerFailed(PartnerUnavailable):
    """The partner answered with an error of its own; it may keep that answer under our key."""


class PartnerBusy(PartnerUnavailable):
    """The partner asks us to come back later; it did nothing, and is not out of order."""


class PaymentUnsettled(PartnerBusy):
    """The bank has the payment; it can be neither cancelled nor refunded until that ends."""


class RequestRefused(DomainError):
    """The partner refuses our request as wrong; asking again would not help until somebody mends it."""

    failure_type = FailureType.REQUEST_REFUSED
    #: set when the step was parked with a task (`orders.services.parking`): how long to wait before the next try
    retry_after: timedelta | None = None


class StepMissing(DomainError):
    """A step that must come before this one is not done by the database's word."""

    failure_type = FailureType.STEP_MISSING


class MailUnavailable(PartnerUnavailable):
    """The mail server did not take the mail. It may be tried again."""


class PartnerRefused(DomainError):
    """The partner refuses this question; asking again would not help."""

    failure_type = FailureType.PARTNER_REFUSED


class InvalidFeed(DomainError):
    """The file cannot be read as the layout says."""

    failure_type = FailureType.INVALID_FEED


class RunPaused(DomainError):
    """The run is paused; its next step begins when a person resumes it."""

    failure_type = FailureType.RUN_PAUSED


class StepFailed(DomainError):
    """A step of a playbook has used all its attempts."""

    failure_type = FailureType.STEP_FAILED
