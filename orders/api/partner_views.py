"""The partners: whether each is called, what waits behind it, and the commands that stop, probe and resume calls."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.fields import StrictSerializer, Text
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import PartnerHealth
from orders.models.rules import choices
from orders.partners import breaker
from orders.selectors.partner_runs import stale_use
from orders.services import breakers
from orders.vocabulary import BreakerState, PartnerCode


class DrivePartnerInput(StrictSerializer):
    reason = Text(max_length=500, help_text="Why. Kept with the command.")


class PartnerOutput(serializers.ModelSerializer):
    """A partner as all workers see it."""

    partner = serializers.ChoiceField(choices=choices(PartnerCode))
    state = serializers.ChoiceField(choices=choices(BreakerState))
    since = serializers.DateTimeField(source="opened_at", allow_null=True)
    waiting_orders = serializers.SerializerMethodField()
    refused_requests = serializers.SerializerMethodField(
        help_text="Orders whose request the partner refuses; they are parked with a task and do not wait for it."
    )
    waiting_calls = serializers.SerializerMethodField(help_text="Of a run.")
    stale_uses = serializers.SerializerMethodField(help_text="How often an old answer stood in for the partner.")
    last_used_stale_at = serializers.SerializerMethodField()

    class Meta:
        model = PartnerHealth
        fields = [
            "partner",
            "state",
            "since",
            "next_try_at",
            "failures_in_a_row",
            "failed_tries",
            "waiting_orders",
            "refused_requests",
            "waiting_calls",
            "stale_uses",
            "last_used_stale_at",
            "last_ok_at",
            "last_error_at",
            "last_error",
        ]

    def get_waiting_orders(self, row: PartnerHealth) -> int:
        return breaker.parked(PartnerCode(row.partner)).count()

    def get_refused_requests(self, row: PartnerHealth) -> int:
        return breaker.refused_requests(PartnerCode(row.partner)).count()

    def get_waiting_calls(self, row: PartnerHealth) -> int:
        return breaker.waiting_calls(PartnerCode(row.partner)).count()

    def get_stale_uses(self, row: PartnerHealth) -> int:
        return stale_use(PartnerCode(row.partner)).count

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_last_used_stale_at(self, row: PartnerHealth) -> datetime | None:
        return stale_use(PartnerCode(row.partner)).newest


class Partners(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_partnerhealth",),
        "hold": ("orders.drive_breaker",),
        "probe": ("orders.drive_breaker",),
        "close": ("orders.drive_breaker",),
    }
    queryset = PartnerHealth.objects.order_by("partner")
    serializer_class = PartnerOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Partners that were called, and what waits for them",
        responses=answers({200: PartnerOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        return Response(PartnerOutput(self.get_queryset(), many=True).data)

    @extend_schema(
        summary="Stop all calls to a partner",
        description="Orders wait until the calls are resumed. 409 when they are stopped already, with since when.",
        request=DrivePartnerInput,
        responses=answers({200: PartnerOutput}, 404, body=True),
    )
    def hold(self, request: Request, code: str) -> Response:
        return self._drive(breakers.hold, code)

    @extend_schema(
        summary="Let the next call try a partner that is not called",
        description="Its answer resumes all calls. 409 when calls are not stopped, or one tries already.",
        request=DrivePartnerInput,
        responses=answers({200: PartnerOutput}, 404, body=True),
    )
    def probe(self, request: Request, code: str) -> Response:
        return self._drive(breakers.probe, code)

    @extend_schema(
        summary="Resume all calls to a partner",
        description="Without a try; failures are counted from zero. 409 when calls are not stopped.",
        request=DrivePartnerInput,
        responses=answers({200: PartnerOutput}, 404, body=True),
    )
    def close(self, request: Request, code: str) -> Response:
        return self._drive(breakers.close, code)

    def _drive(self, service: Callable[..., PartnerHealth], code: str) -> Response:
        body = DrivePartnerInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        row = service(PartnerCode(code), actor=self.actor(), reason=body.validated_data["reason"])
        return Response(PartnerOutput(row).data)
