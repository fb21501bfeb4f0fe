"""Exports: a file of orders that somebody asked for, or that a plan asks for again and again."""

from enum import StrEnum


class ExportFormat(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


class ExportStatus(StrEnum):
    QUEUED = "queued"  # frozen; its process has not begun
    RUNNING = "running"
    COMPLETED = "completed"  # the file can be downloaded
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"  # the file was deleted; the row stays


OPEN_EXPORTS = frozenset({ExportStatus.QUEUED, ExportStatus.RUNNING})
ENDED_EXPORTS = frozenset(ExportStatus) - OPEN_EXPORTS
#: their file was whole
WHOLE_EXPORTS = frozenset({ExportStatus.COMPLETED, ExportStatus.EXPIRED})

#: orders of one stored part
EXPORT_PART_ORDERS = 1_000
#: the most numbers that one call may name; more are chosen by a filter
MAX_EXPORT_NUMBERS = 10_000
#: a plan that runs by the hour
MAX_PLAN_HOURS = 24 * 30
