"""What the calls of exports take: a format, and orders by their numbers or by a filter of the list of orders."""

from __future__ import annotations

from rest_framework import serializers

from orders.api.fields import Text, Word
from orders.api.selecting import ChosenOrders, OrderFilterInput
from orders.models.rules import choices
from orders.vocabulary import MAX_EXPORT_NUMBERS, ExportFormat


class ExportFilterInput(OrderFilterInput):
    """The same filters as those of `GET /api/orders/`; none of them for all orders."""


class ExportInput(ChosenOrders):
    format = Word(choices=choices(ExportFormat))
    reason = Text(max_length=500, help_text="What the file is for; kept with it.")
    numbers = serializers.ListField(
        child=Text(max_length=32),
        required=False,
        min_length=1,
        max_length=MAX_EXPORT_NUMBERS,
        help_text="Numbers of orders; or give a filter.",
    )
    filter = ExportFilterInput(required=False)
