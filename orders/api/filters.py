"""What a list may be asked for, and nothing else.

A filter that is misspelled and ignored returns every order, and a script that then starts "the filtered ones" starts
them all: a parameter that we do not know, that is empty or that stands there twice is a 400.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

import django_filters  # type: ignore[import-untyped]
from django import forms
from django.db.models import QuerySet
from django.http import QueryDict

from orders.api.fields import parse_moment
from orders.api.problems import INVALID_INPUT, FieldError, Refused
from orders.models import Order
from orders.models.rules import choices
from orders.selectors import incidents
from orders.selectors.queues import MEMBERS, Queue
from orders.vocabulary import OrderStatus

MAX_BIGINT = 2**63 - 1


class MomentField(forms.CharField):
    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_moment(text)
        except ValueError as error:
            raise forms.ValidationError(str(error), code="invalid") from error


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentField


class TextFilter(django_filters.CharFilter):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, max_length=200, **options)


class MinorUnitsFilter(django_filters.NumberFilter):
    field_class = forms.IntegerField

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, min_value=0, max_value=MAX_BIGINT, **options)

    def get_max_validator(self) -> None:
        """The field checks its bounds itself."""


class OrderFilter(django_filters.FilterSet):
    queue = django_filters.ChoiceFilter(
        choices=choices(Queue),
        method="in_queue",
        help_text="Who must act next: `needs_human` in review or on hold; `retrying` a step fails; `waiting` with the "
        "engine or a partner; `parked` behind a partner that is out of order; `overdue` a deadline was missed or it "
        "does not move; `wedged` by a bug, or without a process.",
    )
    status = django_filters.MultipleChoiceFilter(choices=choices(OrderStatus), help_text="May be given several times.")
    number = TextFilter()
    reference = TextFilter(help_text="The sender's own name for the order.")
    source = TextFilter()
    customer = TextFilter(field_name="customer__reference", help_text="The customer's reference.")
    incident = django_filters.UUIDFilter(method="of_incident", help_text="Those that stand still for the incident.")
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte", help_text="At this moment or later.")
    created_before = MomentFilter(field_name="created_at", lookup_expr="lt", help_text="Before this moment.")
    total_min = MinorUnitsFilter(field_name="total_minor", lookup_expr="gte", help_text="In minor units.")
    total_max = MinorUnitsFilter(field_name="total_minor", lookup_expr="lte", help_text="In minor units.")

    class Meta:
        model = Order
        fields: list[str] = []

    def of_incident(self, orders: QuerySet[Order], name: str, value: UUID) -> QuerySet[Order]:
        return incidents.orders_of(orders, value)

    def in_queue(self, orders: QuerySet[Order], name: str, value: str) -> QuerySet[Order]:
        return MEMBERS[Queue(value)](orders)


ORDER_PARAMETERS = frozenset(OrderFilter.base_filters)
#: parameters that may stand there more than once
REPEATABLE = frozenset({"status"})


def refuse_unknown(given: QueryDict, known: Iterable[str]) -> None:
    """Raise a 400 that names every parameter that is not known, is empty or stands there twice."""
    allowed = sorted(known)
    errors = []
    for name in given:
        if name not in allowed:
            takes = f"this address takes {', '.join(allowed)}" if allowed else "this address takes none"
            errors.append(
                FieldError(field=name[:100], message=f"Unknown parameter; {takes}.", code="unknown_parameter")
            )
        elif "" in given.getlist(name):
            errors.append(FieldError(field=name, message="The parameter is empty; leave it out.", code="blank"))
        elif name not in REPEATABLE and len(given.getlist(name)) > 1:
            errors.append(FieldError(field=name, message="The parameter stands there twice.", code="repeated"))
    if errors:
        raise Refused(INVALID_INPUT, errors=errors)
