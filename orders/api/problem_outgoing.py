"""What the API says when it refuses (RFC 9457)."""

from __future__ import annotations

from rest_framework import serializers


class FieldErrorOutput(serializers.Serializer):
    field = serializers.CharField(help_text="Dotted path (`lines.0.quantity`), parameter or header.")
    message = serializers.CharField()
    code = serializers.CharField()


class Problem(serializers.Serializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="`/problems/<slug>`; stable, to be branched on.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    request_id = serializers.CharField(help_text="Say this when you ask us about it.")
    errors = FieldErrorOutput(many=True)  # type: ignore[assignment]
