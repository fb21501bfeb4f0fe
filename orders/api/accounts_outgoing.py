"""What the API says of tokens, and of commands that wait for a second person."""

from __future__ import annotations

from rest_framework import serializers

from orders.models import (
    ApiToken,
    Approval,
)


class TokenOutput(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    created_at = serializers.DateTimeField(source="created")

    class Meta:
        model = ApiToken
        fields = ["id", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at", "revoked_why"]


class IssuedTokenOutput(TokenOutput):
    token = serializers.CharField(help_text="Shown this once.")

    class Meta(TokenOutput.Meta):
        fields = [*TokenOutput.Meta.fields, "token"]


class ApprovalOutput(serializers.ModelSerializer):
    """A command that one person asked for and another decides."""

    requested_by = serializers.CharField(source="requested_by.username")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = Approval
        fields = [
            "id",
            "command",
            "subject",
            "says",
            "reason",
            "status",
            "requested_by",
            "requested_at",
            "expires_at",
            "decided_by",
            "decided_at",
            "decision",
        ]


class WaitingOutput(serializers.Serializer):
    """What waits for a second person about an order."""

    id = serializers.UUIDField(source="approval.id")
    command = serializers.CharField(source="approval.command")
    says = serializers.CharField()
    reason = serializers.CharField()
    requested_by = serializers.CharField(source="asked_by")
    requested_at = serializers.DateTimeField(source="asked_at")
    expires_at = serializers.DateTimeField()
