"""Filters of the lists. Each one turns into a condition that an index serves, or is bounded by one that is.

Every filter has a form, which reads its values and names what it cannot read (`orders/admin/filtering.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django import forms
from django.contrib.admin import ModelAdmin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from unfold.contrib.filters.admin import (
    BooleanRadioFilter,
    DropdownFilter,
    RangeDateFilter,
    RangeNumericListFilter,
    RelatedDropdownFilter,
)
from unfold.contrib.filters.forms import RangeDateForm
from unfold.widgets import INPUT_CLASSES

from orders.models import Incident, Order
from orders.selectors import concerns, incidents, queues
from orders.vocabulary import MAX_ORDER_TOTAL_MINOR, MINOR_UNITS_PER_MAJOR

FIRST_YEAR, LAST_YEAR = 2000, 2999


class AttentionFilter(DropdownFilter):
    """The same questions as the landing page's "Needs a human", so that its links show the same orders."""

    title = "attention"
    parameter_name = "attention"
    questions: Mapping[str, Callable[[QuerySet[Order]], QuerySet[Order]]] = {
        "failed": concerns.failed_lately,
        "not_moving": concerns.not_moving,
        **{queue.value: members for queue, members in queues.MEMBERS.items()},
    }

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [
            ("failed", "Failed in the last day"),
            ("not_moving", "Not moving"),
            *((queue.value, queues.TITLES[queue]) for queue in queues.Queue),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        question = self.questions.get(self.value() or "")
        return question(queryset) if question else queryset


class IncidentFilter(DropdownFilter):
    title = "incident"
    parameter_name = "incident"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        found = {str(incident.pk): incident.says[:80] for incident in incidents.still_open()[:50]}
        asked = self.value()
        if asked and asked not in found:
            # Its link must work also when the incident has just been closed.
            found |= {str(one.pk): one.says[:80] for one in _incident(asked)}
        return list(found.items())

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        return incidents.orders_of(queryset, UUID(self.value())) if self.value() else queryset


class BuyerFilter(DropdownFilter):
    title = "buyer"
    parameter_name = "buyer"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [("known", "Known customers"), ("guest", "Guests")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() in ("known", "guest"):
            return queryset.filter(customer__isnull=self.value() == "guest")
        return queryset


class DayField(forms.DateField):
    """A day as our forms and pages write it: 30/11/2026, 2026-11-30 or 30 Nov 2026, in years that Python can count."""

    def __init__(self, **options: Any) -> None:
        formats = ("%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y", "%d %b %Y", "%d %B %Y")
        wrong = {"invalid": "is no day; write it as 30/11/2026 or 2026-11-30."}
        super().__init__(input_formats=formats, error_messages=wrong, required=False, label="", **options)

    def clean(self, value: Any) -> date | None:
        day: date | None = super().clean(value)
        if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
            raise forms.ValidationError(f"is outside the years {FIRST_YEAR} to {LAST_YEAR}.")
        return day


class RangeForm(forms.Form):
    """Two fields, `<name>_from` and `<name>_to`; the second may not come before the first."""

    def __init__(self, name: str, make_field: Callable[[str], forms.Field], data: Mapping[str, Any]) -> None:
        super().__init__(data=data)
        self.name = name
        self.fields[f"{name}_from"], self.fields[f"{name}_to"] = make_field("From"), make_field("To")

    def clean(self) -> None:
        first, last = self.ends
        if first is not None and last is not None and last < first:
            self.add_error(f"{self.name}_to", "is before the beginning.")

    @property
    def ends(self) -> tuple[Any, Any]:
        """The two values as they were read; None for one that is not given."""
        return self.cleaned_data.get(f"{self.name}_from"), self.cleaned_data.get(f"{self.name}_to")


class DayRangeForm(RangeForm):
    Media = RangeDateForm.Media

    def __init__(self, name: str, data: Mapping[str, Any]) -> None:
        super().__init__(name, _day_field, data)


class DayRangeFilter(RangeDateFilter):
    """Unfold's filter compares a moment with midnight: the last day would be left out, and naive dates warned of."""

    form_class = DayRangeForm

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"form": self._form}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._days()
        if first:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": _midnight(first)})
        if last:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": _midnight(last + timedelta(days=1))})
        return queryset

    def in_words(self) -> str:
        return _range_words(*(None if day is None else f"{day.day} {day:%b %Y}" for day in self._days()))

    def _days(self) -> tuple[date | None, date | None]:
        self._form.is_valid()
        return self._form.ends

    @cached_property
    def _form(self) -> DayRangeForm:
        return self.form_class(str(self.parameter_name), self.used_parameters)


class AmountRangeForm(RangeForm):
    def __init__(self, name: str, data: Mapping[str, Any]) -> None:
        super().__init__(name, _amount_field, data)


class TotalFilter(RangeNumericListFilter):
    """Staff type pounds, not pence."""

    title = "total"
    parameter_name = "total"

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        yield {"form": self._form}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        least, most = self._amounts()
        if least is not None:
            queryset = queryset.filter(total_minor__gte=int(least * MINOR_UNITS_PER_MAJOR))
        if most is not None:
            queryset = queryset.filter(total_minor__lte=int(most * MINOR_UNITS_PER_MAJOR))
        return queryset

    def in_words(self) -> str:
        return _range_words(*(None if amount is None else f"{amount:,.2f}" for amount in self._amounts()))

    def _amounts(self) -> tuple[Decimal | None, Decimal | None]:
        self._form.is_valid()
        return self._form.ends

    @cached_property
    def _form(self) -> AmountRangeForm:
        return AmountRangeForm(self.parameter_name, self.used_parameters)


class YesNoFilter(BooleanRadioFilter):
    """Unfold's form, which knows its two values; Django's own draws links and takes any text."""


class RelatedFilter(RelatedDropdownFilter):
    def has_output(self) -> bool:
        # Without it Django leaves a filter of less than two choices out, and its value in the address unread.
        return True


def _incident(pk: str) -> QuerySet[Incident]:
    try:
        return Incident.objects.filter(pk=UUID(pk))
    except ValueError:
        return Incident.objects.none()


def _day_field(placeholder: str) -> forms.Field:
    classes = " ".join(["vCustomDateField", *INPUT_CLASSES])
    return DayField(widget=forms.DateInput(attrs={"placeholder": placeholder, "class": classes}))


def _amount_field(placeholder: str) -> forms.Field:
    most = Decimal(MAX_ORDER_TOTAL_MINOR) / MINOR_UNITS_PER_MAJOR
    attributes = {"placeholder": placeholder, "class": " ".join(INPUT_CLASSES), "inputmode": "decimal"}
    wrong = {
        "invalid": "is no amount; write it as 1250 or 1250.50.",
        "min_value": "is below 0.",
        "max_value": f"is above {most:,.2f}, the most that an order may be.",
        "max_decimal_places": "has more than two decimal places.",
    }
    # Text, not a number field: a browser sends a number field that it cannot read as if it were empty.
    widget = forms.TextInput(attrs=attributes)
    return forms.DecimalField(
        required=False, label="", min_value=0, max_value=most, decimal_places=2, error_messages=wrong, widget=widget
    )


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _range_words(first: str | None, last: str | None) -> str:
    return " ".join([*([f"from {first}"] if first else []), *([f"up to {last}"] if last else [])])
