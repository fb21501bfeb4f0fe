"""Order feeds: how far an import is and what became of each invoice."""

from enum import StrEnum


class FeedStatus(StrEnum):
    RECEIVED = "received"
    VALIDATING = "validating"
    TRANSFORMING = "transforming"
    STORING = "storing"
    COMPLETED = "completed"
    FAILED = "failed"
    PAUSED = "paused"  # a person stopped it; nothing is written until it is resumed
    CHECKED = "checked"  # a dry run has its report; a person commits or discards
    DISCARDED = "discarded"  # a dry run that nobody wanted
    CANCELLED = "cancelled"  # stopped for good; what it had stored stays


class FeedFormat(StrEnum):
    """What the sender's file was; it is stored as CSV."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON_LINES = "json_lines"


class DateFormat(StrEnum):
    """How a layout's files write dates. ISO dates are read in every layout."""

    ISO = "yyyy-mm-dd"
    DAY_FIRST = "dd/mm/yyyy"
    MONTH_FIRST = "mm/dd/yyyy"
    DOTS = "dd.mm.yyyy"
    COMPACT = "yyyymmdd"


class PriceMeaning(StrEnum):
    """What the price column of a layout holds."""

    UNIT_PRICE = "unit_price"
    LINE_TOTAL = "line_total"


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
