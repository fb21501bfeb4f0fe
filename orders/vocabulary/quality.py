"""The quality control of shipped orders."""

from enum import StrEnum


class QualityStatus(StrEnum):
    TO_CHECK = "to_check"
    PASSED = "passed"
    FAILED = "failed"
