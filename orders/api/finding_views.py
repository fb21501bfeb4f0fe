"""What the sweep found and has not seen go away yet."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.pagination import ByMoment
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import Finding
from orders.models.rules import choices
from orders.selectors.findings import open_findings
from orders.vocabulary import FindingKind


class NewestFinding(ByMoment):
    ordering = ("-first_seen_at", "-id")


class FindingOutput(serializers.ModelSerializer):
    """Trouble of one kind with one order, or with money that belongs to none."""

    kind = serializers.ChoiceField(choices=choices(FindingKind))
    order = serializers.CharField(
        source="order.number", default=None, allow_null=True, help_text="Null for money that belongs to no order."
    )
    reference = serializers.CharField(help_text="The payment at the gateway, where it belongs to no order.")
    repair = serializers.CharField(help_text="What is done about it; empty when a person has a task.")

    class Meta:
        model = Finding
        fields = ["id", "kind", "order", "reference", "says", "first_seen_at", "last_seen_at", "repair"]


class Findings(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_finding",)}
    queryset = Finding.objects.none()
    serializer_class = FindingOutput
    filter_backends = []
    pagination_class = NewestFinding
    query_parameters = {"list": NewestFinding.parameters}

    @extend_schema(
        summary="Open findings of the sweep",
        description="Orders past the deadline of their status, processes that were ended or fail, books that differ. "
        "The newest first; one that has gone is left out.",
        responses=answers({200: FindingOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(open_findings())
        return self.get_paginated_response(FindingOutput(page, many=True).data)
