"""Order feeds: how far an import is and what became of each invoice."""

from enum import StrEnum


class FeedStatus(StrEnum):
    RECEIVED = "received"
    VALIDATING = "validating"
    TRANSFORMING = "transforming"
    STORING = "storing"
    COMPLETED = "completed"
    FAILED = "failed"


class DocumentKind(StrEnum):
    """What an invoice of a feed turned out to be."""

    ORDER = "order"
    CREDIT_NOTE = "credit_note"
    REJECTED = "rejected"


class RejectReason(StrEnum):
    """Why an invoice of a feed was not taken; the words of the layout's rules."""

    INVALID_ROW = "invalid_row"
    ADJUSTMENT_DOCUMENT = "adjustment_document"
    NON_POSITIVE_QUANTITY = "non_positive_quantity"
    NEGATIVE_PRICE = "negative_price"
    ZERO_TOTAL = "zero_total"
    UNKNOWN_PRODUCT = "unknown_product"
    TOO_MANY_LINES = "too_many_lines"
    TOTAL_TOO_LARGE = "total_too_large"
