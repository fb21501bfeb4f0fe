"""Fields that take exactly what the schema says.

DRF is obliging: "5", 5.0 and " 5 " all become 5, true becomes 1 in some places and "True" in others, and a field that
nobody declared is dropped in silence - `status: "paid"` looks accepted. With money that is how wrong orders get in.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from typing import Any

from django.core.validators import RegexValidator
from django.utils.dateparse import parse_datetime
from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)")
TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
EARLIEST_YEAR, LATEST_YEAR = 1970, 9000
#: newlines and escape codes in a name forge log lines and break exports
NO_CONTROL_CHARACTERS = RegexValidator(
    r"^[^\x00-\x1f\x7f]*\Z", "Control characters are not allowed.", "control_character"
)


def parse_moment(text: str) -> datetime:
    """A date and time, given with its offset, in UTC; ValueError says what is wrong."""
    moment = parse_datetime(text) if MOMENT.fullmatch(text) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("Write it as 2026-01-31T09:30:00Z, with an offset.")
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(f"The year must be {EARLIEST_YEAR} to {LATEST_YEAR}.")
    # Python and RFC 3339 know offsets up to a day, PostgreSQL only up to sixteen hours.
    return moment.astimezone(UTC)


class Text(serializers.CharField):
    """Text and nothing else; DRF would turn numbers into text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.validators.append(NO_CONTROL_CHARACTERS)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class Email(Text, serializers.EmailField):
    """An address."""


class WholeNumber(serializers.IntegerField):
    """A JSON integer: no text, no fraction, no true."""

    def to_internal_value(self, data: Any) -> int:
        # `bool` is a subclass of `int`: only the exact type will do.
        if type(data) is not int:
            self.fail("invalid")
        return data  # type: ignore[no-any-return]


class YesNo(serializers.BooleanField):
    """true or false."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=str(data)[:50])
        return data


class Word(serializers.ChoiceField):
    """One word of an enum."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid_choice", input=str(data)[:50])
        return str(super().to_internal_value(data))


class Moment(serializers.DateTimeField):
    """A date and time with its offset."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            raise serializers.ValidationError("Write it as 2026-01-31T09:30:00Z, with an offset.")
        try:
            return parse_moment(value)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from error


class Day(serializers.DateField):
    """A day, as 2026-01-31 and in no other way."""

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str) or not DAY.fullmatch(value):
            raise serializers.ValidationError("Write it as 2026-01-31.")
        return super().to_internal_value(value)


class TimeOfDay(serializers.TimeField):
    """Hours and minutes of the day, as 06:30 and in no other way."""

    def to_internal_value(self, value: Any) -> time:
        if not isinstance(value, str) or not TIME_OF_DAY.fullmatch(value):
            raise serializers.ValidationError("Write it as 06:30, from 00:00 to 23:59.")
        return time.fromisoformat(value)


class StrictSerializer(serializers.Serializer):
    """An input whose every field is declared; anything else in it is an error, not ignored."""

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = {}
        if isinstance(data, dict):
            unknown = [name for name in data if name not in self.fields]
            errors = {str(name)[:100]: [ErrorDetail("Unknown field.", "unknown_field")] for name in unknown}
        try:
            value = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **errors}) from error  # type: ignore[dict-item]
        if errors:
            raise serializers.ValidationError(errors)
        return value
