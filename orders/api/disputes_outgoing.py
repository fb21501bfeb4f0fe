"""What the API says of disputes."""

from __future__ import annotations

from rest_framework import serializers

from orders.models import Dispute
from orders.models.rules import choices
from orders.vocabulary import Currency, DisputeStatus


class DisputeOutput(serializers.ModelSerializer):
    """A payment that the customer's bank questions."""

    order = serializers.CharField(source="order.number")
    status = serializers.ChoiceField(
        choices=choices(DisputeStatus),
        help_text="inquiry: the bank only asks; open: it has taken the money until it decides; closed: an inquiry that "
        "ended without a dispute.",
    )
    currency = serializers.ChoiceField(choices=choices(Currency))
    reason = serializers.CharField(help_text="The bank's word.")
    withdrawn_minor = serializers.IntegerField(help_text="What the bank has of our money now.")
    gateway_status = serializers.CharField(help_text="The gateway's own word.")
    evidence_due_at = serializers.DateTimeField(allow_null=True, help_text="Until when the gateway takes evidence.")

    class Meta:
        model = Dispute
        fields = [
            "id",
            "order",
            "status",
            "amount_minor",
            "withdrawn_minor",
            "currency",
            "reason",
            "gateway_reference",
            "gateway_status",
            "opened_at",
            "evidence_due_at",
            "closed_at",
        ]
