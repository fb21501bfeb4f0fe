"""The payment gateway's own door: signed events, taken without any account of ours.

The signature covers the bytes of the body, so these are read before anything parses them. What is answered with 200 is
stored; everything else the gateway sends again, for days.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from orders import clock, limits
from orders.api import parsers, problems
from orders.api.permissions import Anyone
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import GatewayEvent
from orders.partners import gateway_events as partner
from orders.services import gateway_events
from orders.vocabulary import EventSource

HEADER = "Stripe-Signature"
#: an event of the gateway is a few kilobytes
MAX_BYTES = 256 * 1024


class SignedBytes(BaseParser):
    """The body as it was sent, bounded."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        return parsers.read_bounded(stream, MAX_BYTES, parser_context)


class GatewayEventOutput(serializers.Serializer):
    event = serializers.CharField()
    stored = serializers.BooleanField(help_text="False when we know it already, or do nothing about its type.")


class GatewayEvents(StrictViewSet):
    permission_classes = [Anyone]
    authentication_classes = []
    parser_classes = [SignedBytes]
    queryset = GatewayEvent.objects.none()
    serializer_class = GatewayEventOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="An event of the payment gateway",
        description="For the gateway only: signed over the body as it is sent, at most five minutes ago. Stored once "
        "by its id before it is answered; doubled, late and out of order it changes nothing.",
        request=OpenApiTypes.OBJECT,
        responses=answers({200: GatewayEventOutput}, body=True),
        parameters=[OpenApiParameter(HEADER, str, OpenApiParameter.HEADER, required=True)],
        auth=[],
    )
    def create(self, request: Request) -> Response:
        wait = limits.hit("gateway_event", str(request.META.get("REMOTE_ADDR")))
        if wait:
            raise Throttled(wait)
        secrets = [secret for secret in settings.STRIPE_WEBHOOK_SECRETS if secret]
        if not secrets:
            raise problems.Refused(problems.UNAVAILABLE, "No secret for signed events is configured here.")
        # An empty body is no bytes at all to the framework.
        body = request.data if isinstance(request.data, bytes) else b""
        try:
            partner.verify(body, request.headers.get(HEADER, ""), secrets, now=clock.now())
        except partner.SignatureRefused as refusal:
            raise problems.refuse_field(HEADER, str(refusal), "signature") from refusal
        told = partner.read_event(parsers.json_of(body))
        return Response({"event": told.id, "stored": gateway_events.receive(told, EventSource.WEBHOOK)})
