"""Returns: goods of a completed order that come back."""

from enum import StrEnum


class ReturnStatus(StrEnum):
    ANNOUNCED = "announced"  # the customer wants to send pieces back; the warehouse waits for them
    RECEIVED = "received"  # the warehouse counted what came; the money has not gone back
    REFUNDED = "refunded"
    CLOSED = "closed"  # a person decided that no money goes back for it
    WITHDRAWN = "withdrawn"  # nothing came


#: an order has one of these at most
OPEN_RETURNS = frozenset({ReturnStatus.ANNOUNCED, ReturnStatus.RECEIVED})
#: the pieces were counted
COUNTED_RETURNS = frozenset({ReturnStatus.RECEIVED, ReturnStatus.REFUNDED, ReturnStatus.CLOSED})


class UnsellableReason(StrEnum):
    """Why pieces that came back do not go into the stock. Words, not free text: it outlives a customer's erasure."""

    DAMAGED = "damaged"
    USED = "used"
    INCOMPLETE = "incomplete"
    WRONG_ARTICLE = "wrong_article"
    OTHER = "other"


#: lines of one return, and of one page of its form
MAX_RETURN_LINES = 200
