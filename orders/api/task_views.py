"""Tasks for staff: list what is open, take it, say what was done."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.fields import StrictSerializer, Text
from orders.api.pagination import NewestFirst
from orders.api.permissions import PerAction
from orders.api.problems import refuse_field
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import StaffTask
from orders.models.rules import choices
from orders.services import resolving, tasks
from orders.vocabulary import RecoveryDecision, TaskKind, TaskLevel, TaskStatus


class TakeInput(StrictSerializer):
    """Nothing has to be said."""


class ResolveInput(StrictSerializer):
    note = Text(max_length=500, help_text="What was done. Kept in the history.")
    reference = Text(
        max_length=128,
        required=False,
        allow_blank=True,
        default="",
        help_text="Where it can be looked up; needed where money went back by another way.",
    )
    decision = serializers.ChoiceField(
        choices=choices(RecoveryDecision),
        required=False,
        allow_blank=True,
        default="",
        help_text="For an order whose process is gone: undo it, or finish it where its parcel was booked.",
    )


class TaskOutput(serializers.ModelSerializer):
    """What only a person can settle."""

    order = serializers.CharField(source="order.number", allow_null=True, default=None)
    batch = serializers.UUIDField(source="batch_id", allow_null=True, help_text="Where it is about no order.")
    incident = serializers.UUIDField(
        source="incident_id", allow_null=True, help_text="What was opened for the same cause has the same."
    )
    subject = serializers.CharField(help_text="Where it is about neither: the id of a process, or a word.")
    kind = serializers.ChoiceField(choices=choices(TaskKind))
    level = serializers.ChoiceField(choices=choices(TaskLevel))
    status = serializers.ChoiceField(choices=choices(TaskStatus))
    owner = serializers.CharField(source="owner.username", allow_null=True, default=None)

    class Meta:
        model = StaffTask
        fields = [
            "id",
            "order",
            "batch",
            "subject",
            "incident",
            "kind",
            "level",
            "status",
            "says",
            "owner",
            "created_at",
            "acknowledged_at",
            "done_at",
            "done_by",
            "resolution",
            "reference",
        ]


class Tasks(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_stafftask",),
        "acknowledge": ("orders.work_task",),
        "resolve": ("orders.work_task",),
    }
    queryset = StaffTask.objects.select_related("order", "owner")
    serializer_class = TaskOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters | {"incident"}}

    @extend_schema(
        summary="Tasks that are not done",
        description="What only a person can settle, the newest first. Tasks of the same cause are one incident, "
        "with one task of its own; `incident` lists those behind it.",
        parameters=[OpenApiParameter("incident", UUID, description="Id of an incident.")],
        responses=answers({200: TaskOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self._open(request))
        return self.get_paginated_response(TaskOutput(page, many=True).data)

    def _open(self, request: Request) -> QuerySet[StaffTask]:
        still_open = self.get_queryset().exclude(status=TaskStatus.DONE)
        wanted = request.query_params.get("incident")
        if wanted is None:
            return still_open & StaffTask.shown()
        try:
            return still_open.filter(incident=UUID(wanted))
        except ValueError as error:
            raise refuse_field("incident", "This is no id of an incident.") from error

    @extend_schema(
        summary="Take a task",
        description="You become its owner. 409 with who has it and since when.",
        request=TakeInput,
        responses=answers({200: TaskOutput}, 404, body=True),
    )
    def acknowledge(self, request: Request, pk: UUID) -> Response:
        return self._answer(tasks.acknowledge, pk, TakeInput)

    @extend_schema(
        summary="Say what was done about a task",
        description="It leaves the queue. 409 with who did it and when.",
        request=ResolveInput,
        responses=answers({200: TaskOutput}, 404, body=True),
    )
    def resolve(self, request: Request, pk: UUID) -> Response:
        return self._answer(resolving.resolve, pk, ResolveInput)

    def _answer(self, service: Callable[..., StaffTask], pk: UUID, body_class: type[StrictSerializer]) -> Response:
        body: Any = body_class(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            task = service(pk, actor=self.actor(), **body.validated_data)
        except StaffTask.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(TaskOutput(self.get_queryset().get(pk=task.pk)).data)
