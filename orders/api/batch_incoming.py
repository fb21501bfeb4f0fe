"""What the calls of batches take: an action, and orders by their numbers or by a filter of the list of orders."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from orders.api.fields import StrictSerializer, Text, WholeNumber, Word
from orders.api.incoming import ReasonInput
from orders.api.playbook_views import GivenField
from orders.api.selecting import ChosenOrders, OrderFilterInput
from orders.models.rules import choices
from orders.services.batches import ChosenPlaybook
from orders.services.batches.selecting import Seen
from orders.vocabulary import DEFAULT_AUTO_PAUSE_PERCENT, MAX_BATCH_NUMBERS, BatchAction


class BatchFilterInput(OrderFilterInput):
    """The same filters as those of `GET /api/orders/`; at least one."""

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs:
            raise serializers.ValidationError("Name at least one filter; a batch over all orders is not taken.")
        return attrs


class SelectionInput(ChosenOrders):
    action = Word(choices=choices(BatchAction))
    numbers = serializers.ListField(
        child=Text(max_length=32),
        required=False,
        min_length=1,
        max_length=MAX_BATCH_NUMBERS,
        help_text="Numbers of orders; or give a filter.",
    )
    filter = BatchFilterInput(required=False)
    playbook = Text(max_length=40, required=False, help_text="For the action `playbook`, and only for it.")
    version = WholeNumber(required=False, min_value=1, max_value=2**31 - 1, help_text="Else the newest published one.")
    inputs = GivenField(required=False, help_text="Of the playbook, by name; the same for every order.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "playbook" not in attrs and attrs.keys() & {"version", "inputs"}:
            raise serializers.ValidationError({"playbook": "Name the playbook, too."})
        return attrs

    def chosen_playbook(self) -> ChosenPlaybook | None:
        given = self.validated_data
        if "playbook" not in given:
            return None
        return ChosenPlaybook(slug=given["playbook"], version=given.get("version"), inputs=given.get("inputs", {}))


class SeenInput(StrictSerializer):
    count = WholeNumber(min_value=0)
    sums = serializers.DictField(
        child=WholeNumber(min_value=0), help_text="Currency -> minor units, as the preview said."
    )


class BatchInput(SelectionInput, ReasonInput):
    expected = SeenInput(
        required=False,
        help_text="What the preview showed: a 409 when the selection has changed since. Needed with a filter.",
    )
    auto_pause_percent = WholeNumber(
        required=False,
        default=DEFAULT_AUTO_PAUSE_PERCENT,
        min_value=0,
        max_value=100,
        help_text="The share of failures at which it pauses by itself; 0 for never.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        attrs = super().validate(attrs)
        if "filter" in attrs and "expected" not in attrs:
            raise serializers.ValidationError({"expected": "With a filter it is needed: ask for a preview first."})
        return attrs

    def seen(self) -> Seen | None:
        expected = self.validated_data.get("expected")
        return Seen(count=expected["count"], sums=expected["sums"]) if expected else None
