"""The shipped orders that were drawn for a quality check, and a person's answer to each."""

from __future__ import annotations

from collections.abc import Callable
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
from orders.models import QualityCheck
from orders.models.rules import choices
from orders.services import quality
from orders.vocabulary import QualityStatus


class CheckedInput(StrictSerializer):
    note = Text(max_length=500, help_text="What was looked at, and what was found.")


class QualityCheckOutput(serializers.ModelSerializer):
    """A shipped order that was drawn at random."""

    order = serializers.CharField(source="order.number")
    day = serializers.DateField(source="sample_id", help_text="The UTC day on which it was shipped.")
    status = serializers.ChoiceField(choices=choices(QualityStatus))
    checked_by = serializers.CharField(source="checked_by.username", default=None, allow_null=True)

    class Meta:
        model = QualityCheck
        fields = ["id", "order", "day", "status", "checked_by", "checked_at", "note", "created_at"]


class QualityChecks(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_qualitycheck",),
        "passed": ("orders.check_quality",),
        "failed": ("orders.check_quality",),
    }
    queryset = QualityCheck.objects.select_related("order", "checked_by")
    serializer_class = QualityCheckOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}
    not_found_text = "There is no such check."

    @extend_schema(
        summary="Shipped orders that wait for their quality check",
        description="Drawn at random each night from the orders that were shipped the day before.",
        responses=answers({200: QualityCheckOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset().filter(status=QualityStatus.TO_CHECK))
        return self.get_paginated_response(QualityCheckOutput(page, many=True).data)

    @extend_schema(
        summary="Say that a shipped order passed its check",
        description="409 with who checked it and when.",
        request=CheckedInput,
        responses=answers({200: QualityCheckOutput}, 404, body=True),
    )
    def passed(self, request: Request, pk: UUID) -> Response:
        return self._answer(quality.passed, pk)

    @extend_schema(
        summary="Say that a shipped order failed its check",
        description="A task with the note is opened. 409 with who checked it and when.",
        request=CheckedInput,
        responses=answers({200: QualityCheckOutput}, 404, body=True),
    )
    def failed(self, request: Request, pk: UUID) -> Response:
        return self._answer(quality.failed, pk)

    def _answer(self, service: Callable[..., QualityCheck], pk: UUID) -> Response:
        body: Any = CheckedInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            service(pk, actor=self.actor(), note=body.validated_data["note"])
        except QualityCheck.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(QualityCheckOutput(self.get_queryset().get(pk=pk)).data)
