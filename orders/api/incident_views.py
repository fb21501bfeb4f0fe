"""Incidents: what stands still for one cause, with a lead's decision for all of it or some."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.fields import StrictSerializer, Text
from orders.api.pagination import NewestFirst
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import Incident
from orders.models.rules import choices
from orders.selectors import incidents as selectors
from orders.selectors.incidents import Shown
from orders.services import incident_decisions
from orders.vocabulary import IncidentDecision, RecoveryDecision

MOST_ORDERS = 500


class IncidentOutput(serializers.Serializer):
    """One cause, however many orders stand still for it."""

    id = serializers.UUIDField(source="incident.id", help_text="`GET /api/orders/?incident=` lists its orders.")
    says = serializers.CharField(source="incident.says")
    count = serializers.IntegerField(source="figures.count", help_text="Orders that stand still for it now.")
    totals = serializers.DictField(
        source="figures.totals", child=serializers.IntegerField(), help_text="Of these orders, minor units by currency."
    )
    most = serializers.IntegerField(source="incident.most", help_text="The most at a time.")
    since = serializers.DateTimeField()
    waits_for = serializers.CharField()
    closed_at = serializers.DateTimeField(source="incident.closed_at", allow_null=True)
    resolution = serializers.CharField(source="incident.resolution")


class DecideInput(StrictSerializer):
    decision = serializers.ChoiceField(
        choices=choices(IncidentDecision),
        help_text="`retry` tries each failing step again at once; `resolve` resolves each task, with what follows.",
    )
    note = Text(max_length=500, help_text="What was decided and why. Kept in the histories.")
    reference = Text(max_length=128, required=False, allow_blank=True, default="")
    recovery = serializers.ChoiceField(
        choices=choices(RecoveryDecision),
        required=False,
        allow_blank=True,
        default="",
        help_text="For orders whose process is gone: undo them, or finish those whose parcel was booked.",
    )
    orders = serializers.ListField(
        child=Text(max_length=200),
        required=False,
        default=list,
        max_length=MOST_ORDERS,
        help_text="Numbers of the orders, or subjects of the tasks, that it is decided for; all when left out.",
    )


class DecidedOutput(serializers.Serializer):
    done = serializers.IntegerField()
    refused = serializers.DictField(child=serializers.CharField(), help_text="What was refused, and why.")
    left = serializers.IntegerField(help_text="More than one call decides; ask again.")


class Incidents(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_incident",),
        "retrieve": ("orders.view_incident",),
        "decide": ("orders.decide_incident",),
    }
    queryset = Incident.objects.none()
    serializer_class = IncidentOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(
        summary="Open incidents",
        description="What stands still for the same cause: how many orders, how much, since when. The newest first.",
        responses=answers({200: IncidentOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(selectors.still_open())
        return self.get_paginated_response(IncidentOutput(selectors.shown(page or []), many=True).data)

    @extend_schema(
        summary="An incident",
        description="A closed one too.",
        responses=answers({200: IncidentOutput}, 404),
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(IncidentOutput(self._find(pk)).data)

    @extend_schema(
        summary="Decide for everything that an incident is about, or for some of it",
        description="Each for itself, as its own task would be. 409 when it is closed, or nothing of it can be tried "
        "again.",
        request=DecideInput,
        responses=answers({200: DecidedOutput}, 404, body=True),
    )
    def decide(self, request: Request, pk: UUID) -> Response:
        body: Any = DecideInput(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        try:
            decided = incident_decisions.decide(
                pk,
                IncidentDecision(given["decision"]),
                note=given["note"],
                reference=given["reference"],
                recovery=given["recovery"],
                numbers=given["orders"],
                actor=self.actor(),
            )
        except Incident.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(DecidedOutput(decided).data)

    def _find(self, pk: UUID) -> Shown:
        incident = selectors.told().filter(pk=pk).first()
        if incident is None:
            raise NotFound(self.not_found_text)
        return selectors.shown([incident])[0]
