"""How calls name the orders that they are about: by numbers, or by a filter of the list of orders."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.http import QueryDict
from rest_framework import serializers

from orders.api.fields import Moment, StrictSerializer, Text, WholeNumber, Word
from orders.api.filters import MAX_BIGINT, OrderFilter
from orders.models import Order
from orders.models.rules import choices
from orders.selectors.queues import Queue
from orders.services.selection import Selection
from orders.vocabulary import OrderStatus

NAMED = 5


class OrderFilterInput(StrictSerializer):
    """The same filters as those of `GET /api/orders/`."""

    queue = Word(choices=choices(Queue), required=False)
    status = serializers.ListField(
        child=Word(choices=choices(OrderStatus)), required=False, min_length=1, max_length=len(OrderStatus)
    )
    number = Text(max_length=200, required=False)
    reference = Text(max_length=200, required=False)
    source = Text(max_length=200, required=False)  # type: ignore[assignment]
    customer = Text(max_length=200, required=False)
    created_after = Moment(required=False)
    created_before = Moment(required=False)
    total_min = WholeNumber(min_value=0, max_value=MAX_BIGINT, required=False)
    total_max = WholeNumber(min_value=0, max_value=MAX_BIGINT, required=False)


class ChosenOrders(StrictSerializer):
    """Either `numbers` or a `filter`; who inherits says how many numbers, and what an empty filter means."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("numbers" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError({"numbers": "Give either numbers or a filter."})
        return attrs

    def selection(self) -> Selection:
        """The orders that are named. Raises a 400 for numbers that nobody knows."""
        if "numbers" in self.validated_data:
            return _named(self.validated_data["numbers"])
        given = QueryDict(mutable=True)
        for name, value in self.validated_data["filter"].items():
            given.setlist(name, [_text(one) for one in (value if isinstance(value, list) else [value])])
        chosen = OrderFilter(given, queryset=Order.objects.all())
        if not chosen.is_valid():
            raise serializers.ValidationError({"filter": chosen.form.errors})
        return Selection(orders=chosen.qs, asked={"filter": {name: given.getlist(name) for name in given}})


def _named(numbers: list[str]) -> Selection:
    wanted = sorted(set(numbers))
    known = set(Order.objects.filter(number__in=wanted).values_list("number", flat=True))
    unknown = [number for number in wanted if number not in known]
    if unknown:
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        raise serializers.ValidationError({"numbers": f"There are no orders {', '.join(unknown[:NAMED])}{more}."})
    return Selection(orders=Order.objects.filter(number__in=wanted), asked={"numbers": len(wanted)})


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
