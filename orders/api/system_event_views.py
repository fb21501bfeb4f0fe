"""Troubles of the system itself: list what nobody has seen yet, and say that one was seen."""

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
from orders.models import SystemEvent
from orders.services import system_events


class AcknowledgeInput(StrictSerializer):
    note = Text(max_length=500, required=False, allow_blank=True, default="", help_text="What was found out.")


class SystemEventOutput(serializers.ModelSerializer):
    """What went wrong, where, how often, and its root cause."""

    order = serializers.CharField(source="order.number", allow_null=True, default=None)
    request_id = serializers.CharField(help_text="Of the request that started the order; empty for feeds.")
    activity = serializers.CharField(help_text="The activity or the step of the order; empty for the workflow itself.")
    acknowledged_by = serializers.CharField(source="acknowledged_by.username", allow_null=True, default=None)

    class Meta:
        model = SystemEvent
        fields = [
            "id",
            "order",
            "request_id",
            "workflow_id",
            "run_id",
            "activity",
            "attempt",
            "error_type",
            "message",
            "times",
            "created_at",
            "last_at",
            "acknowledged_by",
            "acknowledged_at",
            "note",
        ]


class SystemEvents(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_systemevent",),
        "acknowledge": ("orders.acknowledge_systemevent",),
    }
    queryset = SystemEvent.objects.select_related("order", "acknowledged_by")
    serializer_class = SystemEventOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(
        summary="System events that nobody has acknowledged",
        description="The newest first; the same trouble of one process is one event with a count.",
        responses=answers({200: SystemEventOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset().filter(acknowledged_at=None))
        return self.get_paginated_response(SystemEventOutput(page, many=True).data)

    @extend_schema(
        summary="Acknowledge a system event",
        description="It leaves the list. 409 with who saw it and when.",
        request=AcknowledgeInput,
        responses=answers({200: SystemEventOutput}, 404, body=True),
    )
    def acknowledge(self, request: Request, pk: UUID) -> Response:
        body: Any = AcknowledgeInput(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            event = system_events.acknowledge(pk, actor=self.actor(), **body.validated_data)
        except SystemEvent.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(SystemEventOutput(self.get_queryset().get(pk=event.pk)).data)
