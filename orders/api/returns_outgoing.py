"""What the API says of returns: what is announced, what came, what it is worth."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from orders.models import (
    ReturnCase,
    ReturnLine,
)
from orders.models.rules import choices
from orders.vocabulary import (
    ReturnStatus,
    UnsellableReason,
)


class ReturnLineOutput(serializers.ModelSerializer):
    position = serializers.IntegerField(source="order_line.position")
    sku = serializers.CharField(source="order_line.product.sku")
    unsellable_reason = serializers.ChoiceField(choices=choices(UnsellableReason), allow_blank=True)
    refund_minor = serializers.IntegerField(help_text="What the received pieces were paid for.")

    class Meta:
        model = ReturnLine
        fields = ["position", "sku", "announced", "received", "restocked", "unsellable_reason", "refund_minor"]


class ReturnOutput(serializers.ModelSerializer):
    """Goods that come back; `due_minor` is what the pieces that came were paid for."""

    order = serializers.CharField(source="order.number")
    status = serializers.ChoiceField(choices=choices(ReturnStatus))
    announced_by = serializers.CharField(source="actor")
    announced_at = serializers.DateTimeField(source="created_at")
    due_minor = serializers.IntegerField()
    refunds = serializers.SerializerMethodField(help_text="Ids of its refunds, the newest first.")
    lines = ReturnLineOutput(many=True)

    class Meta:
        model = ReturnCase
        fields = [
            "id",
            "order",
            "status",
            "reason",
            "announced_by",
            "announced_at",
            "received_by",
            "received_at",
            "ended_by",
            "ended_at",
            "note",
            "due_minor",
            "refunds",
            "lines",
        ]

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_refunds(self, case: ReturnCase) -> list[str]:
        return [str(refund.pk) for refund in case.refunds.all()]
