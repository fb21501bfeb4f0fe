"""What a restored database does not have as it is, and a lead's decision about it."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.fields import StrictSerializer, Text
from orders.api.pagination import ByMoment
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import RestoreDifference
from orders.models.rules import choices
from orders.services import restored
from orders.vocabulary import RESTORE_DECISIONS, RestoreDecision, RestoreKind


class OldestDifference(ByMoment):
    ordering = ("found_at", "id")


class DifferenceOutput(serializers.ModelSerializer):
    """One order or run."""

    kind = serializers.ChoiceField(choices=choices(RestoreKind))
    name = serializers.CharField(help_text="Number of the order, or the kind and the key of a run.")
    asked_at = serializers.DateTimeField(allow_null=True, help_text="When the partners said what they have of it.")
    taken_minor = serializers.IntegerField(help_text="What the gateway took, in minor units.")
    has_parcel = serializers.BooleanField(help_text="Whether the carrier has a parcel of it.")
    decisions = serializers.SerializerMethodField(help_text="What can be decided about it.")

    class Meta:
        model = RestoreDifference
        fields = [
            "id",
            "kind",
            "name",
            "found_at",
            "asked_at",
            "payment_reference",
            "taken_minor",
            "currency",
            "has_parcel",
            "decisions",
        ]

    def get_decisions(self, found: RestoreDifference) -> list[str]:
        return [decision.value for decision in RESTORE_DECISIONS[RestoreKind(found.kind)]]


class RestoreDecideInput(StrictSerializer):
    decision = serializers.ChoiceField(choices=choices(RestoreDecision))
    note = Text(max_length=500, help_text="What was decided and why.")
    names = serializers.ListField(
        child=Text(max_length=160),
        required=False,
        default=list,
        max_length=restored.MOST,
        help_text="What it is decided for; all that it fits when left out.",
    )


class RestoreDecidedOutput(serializers.Serializer):
    done = serializers.IntegerField()
    refused = serializers.DictField(child=serializers.CharField(), help_text="What was refused, and why.")
    left = serializers.IntegerField(help_text="More than one call decides; ask again.")


class RestoreDifferences(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_restoredifference",),
        "decide": ("orders.decide_restore",),
    }
    queryset = RestoreDifference.objects.none()
    serializer_class = DifferenceOutput
    filter_backends = []
    pagination_class = OldestDifference
    query_parameters = {"list": OldestDifference.parameters}

    @extend_schema(
        summary="What a restored database does not have",
        description="Nothing of it is decided yet. It is done once the task about the database is resolved.",
        responses=answers({200: DifferenceOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(RestoreDifference.objects.filter(decision="").order_by("found_at", "id"))
        return self.get_paginated_response(DifferenceOutput(page, many=True).data)

    @extend_schema(
        summary="Decide for all that a restored database does not have, or for some of it",
        description="Each for itself. 409 when nothing differs for which the decision fits.",
        request=RestoreDecideInput,
        responses=answers({200: RestoreDecidedOutput}, body=True),
    )
    def decide(self, request: Request) -> Response:
        body: Any = RestoreDecideInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        decided = restored.decide(
            RestoreDecision(given["decision"]), note=given["note"], names=given["names"], actor=self.actor()
        )
        return Response(RestoreDecidedOutput(decided).data)
