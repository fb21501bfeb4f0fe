"""Filters of the order list. Each one turns into a condition that an index serves, or is bounded by one that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from uuid import UUID

from django.contrib.admin import ModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, RangeNumericListFilter

from orders.models import Order
from orders.selectors import dashboard, incidents, queues
from orders.vocabulary import MAX_ORDER_TOTAL_MINOR, MINOR_UNITS_PER_MAJOR


class AttentionFilter(DropdownFilter):
    """The same questions as the landing page's "Needs a human", so that its links show the same orders."""

    title = "attention"
    parameter_name = "attention"
    questions: Mapping[str, Callable[[QuerySet[Order]], QuerySet[Order]]] = {
        "failed": dashboard.failed_lately,
        "not_moving": dashboard.not_moving,
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
        return [(str(incident.pk), incident.says[:80]) for incident in incidents.still_open()[:50]]

    def has_output(self) -> bool:
        # Its link must work also when the incident has just been closed.
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        try:
            return incidents.orders_of(queryset, UUID(self.value())) if self.value() else queryset
        except ValueError:
            return queryset.none()


class BuyerFilter(DropdownFilter):
    title = "buyer"
    parameter_name = "buyer"

    def lookups(self, request: HttpRequest, model_admin: ModelAdmin) -> list[tuple[str, str]]:
        return [("known", "Known customers"), ("guest", "Guests")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        if self.value() in ("known", "guest"):
            return queryset.filter(customer__isnull=self.value() == "guest")
        return queryset


class DayRangeFilter(RangeDateFilter):
    """Unfold's filter compares a moment with midnight: the last day would be left out, and naive dates warned of."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first = self._day("from")
        last = self._day("to")
        if first:
            queryset = queryset.filter(**{f"{self.parameter_name}__gte": first})
        if last:
            queryset = queryset.filter(**{f"{self.parameter_name}__lt": last + timedelta(days=1)})
        return queryset

    def _day(self, end: str) -> datetime | None:
        try:
            day = parse_date(str(self.used_parameters.get(f"{self.parameter_name}_{end}") or ""))
            return timezone.make_aware(datetime.combine(day, time.min)) if day and day.year < 9999 else None
        except ValueError:
            return None


class TotalFilter(RangeNumericListFilter):
    """Staff type pounds, not pence."""

    title = "total"
    parameter_name = "total"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Order]) -> QuerySet[Order]:
        least, most = self._minor("from"), self._minor("to")
        if least is not None:
            queryset = queryset.filter(total_minor__gte=least)
        if most is not None:
            queryset = queryset.filter(total_minor__lte=most)
        return queryset

    def _minor(self, end: str) -> int | None:
        try:
            amount = Decimal(str(self.used_parameters.get(f"{self.parameter_name}_{end}") or ""))
        except InvalidOperation:
            return None
        if not amount.is_finite():
            return None
        # Beyond every order there is nothing to compare, and PostgreSQL has no number that large.
        bounded = min(max(amount * MINOR_UNITS_PER_MAJOR, Decimal(-1)), Decimal(MAX_ORDER_TOTAL_MINOR + 1))
        return int(bounded)
