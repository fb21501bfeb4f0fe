"""Long processes: start the day-end close, see how it stands, pause, resume and cancel it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.fields import Day, Word
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.pagination import NewestFirst
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import ProcessDifference, ProcessRun, ProcessStep
from orders.models.rules import choices
from orders.selectors import processes as selectors
from orders.services import processes
from orders.vocabulary import DifferenceKind, ProcessName, ProcessStatus, ProcessStepName, ProcessStepStatus

#: of a run; the rest is in the admin
MOST_DIFFERENCES = 200


class StartProcessInput(ReasonInput):
    definition = Word(choices=choices(ProcessName))
    business_day = Day(
        required=False, allow_null=True, default=None, help_text="One of the last 31 days; today unless given."
    )


class ProcessStepOutput(serializers.ModelSerializer):
    name = serializers.ChoiceField(choices=choices(ProcessStepName))
    status = serializers.ChoiceField(choices=choices(ProcessStepStatus))
    figures = serializers.DictField(help_text="What the step counted so far.")

    class Meta:
        model = ProcessStep
        fields = [
            "position",
            "name",
            "status",
            "due_at",
            "started_at",
            "finished_at",
            "outcome",
            "figures",
            "error",
        ]


class ProcessDifferenceOutput(serializers.ModelSerializer):
    kind = serializers.ChoiceField(choices=choices(DifferenceKind))
    order = serializers.CharField(source="order.number", allow_null=True, default=None)

    class Meta:
        model = ProcessDifference
        fields = ["kind", "order", "reference", "says", "created_at"]


class ProcessRunOutput(serializers.ModelSerializer):
    """A run, its steps, and the first of what does not agree."""

    definition = serializers.ChoiceField(choices=choices(ProcessName))
    status = serializers.ChoiceField(choices=choices(ProcessStatus))
    progress = serializers.SerializerMethodField()
    incomplete = serializers.SerializerMethodField()
    started_by = serializers.CharField(source="actor")
    steps = ProcessStepOutput(many=True)
    differences = serializers.SerializerMethodField()

    class Meta:
        model = ProcessRun
        fields = [
            "id",
            "definition",
            "business_day",
            "covers_from",
            "covers_until",
            "status",
            "status_since",
            "status_by",
            "status_reason",
            "progress",
            "incomplete",
            "started_by",
            "created_at",
            "finished_at",
            "steps",
            "differences",
        ]

    def get_progress(self, run: ProcessRun) -> int:
        return selectors.progress(list(run.steps.all()))

    def get_incomplete(self, run: ProcessRun) -> bool:
        return selectors.is_incomplete(run, list(run.steps.all()))

    @extend_schema_field(ProcessDifferenceOutput(many=True))
    def get_differences(self, run: ProcessRun) -> list[ProcessDifferenceOutput]:
        found = run.differences.select_related("order")[:MOST_DIFFERENCES]
        return ProcessDifferenceOutput(found, many=True).data  # type: ignore[return-value]


class Processes(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_processrun",),
        "retrieve": ("orders.view_processrun", "orders.run_process"),
        "create": ("orders.run_process",),
        "pause": ("orders.run_process",),
        "resume": ("orders.run_process",),
        "cancel": ("orders.run_process",),
    }
    queryset = ProcessRun.objects.prefetch_related("steps")
    serializer_class = ProcessRunOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(
        summary="Start a process, such as the day-end close",
        description="One a day: 409 with who started the day's run and when. A cancelled or failed one may be "
        "started again. It covers what happened since the run before.",
        request=StartProcessInput,
        responses=answers({202: ProcessRunOutput}, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def create(self, request: Request) -> HttpResponse:
        def work() -> Answer:
            body = StartProcessInput(data=request.data)
            body.is_valid(raise_exception=True)
            asked: dict[str, Any] = body.validated_data
            run = processes.start(
                ProcessName(asked["definition"]),
                business_day=asked["business_day"],
                actor=self.actor(),
                reason=asked["reason"],
            )
            where = reverse("api:process-run", kwargs={"pk": run.pk}, request=request)
            return Answer(status=202, body=dict(ProcessRunOutput(self._run(run.pk)).data), location=where)

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="Process runs", description="The newest first.", responses=answers({200: ProcessRunOutput(many=True)})
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(ProcessRunOutput(page, many=True).data)

    @extend_schema(
        summary="How a run stands",
        description="`progress` is the whole percent of its steps that have ended. `incomplete` says that something "
        "was not done, so that no difference found does not mean that there is none.",
        responses=answers({200: ProcessRunOutput}, 404),
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(ProcessRunOutput(self._run(pk)).data)

    @extend_schema(
        summary="Pause a run",
        description="It is `pausing` until the step under way has ended. 409 when it is paused or over.",
        request=ReasonInput,
        responses=answers({200: ProcessRunOutput}, 404, body=True),
    )
    def pause(self, request: Request, pk: UUID) -> Response:
        return self._drive(processes.pause, pk)

    @extend_schema(
        summary="Let a paused run go on",
        description="409 when it is not paused, is being cancelled, or is over.",
        request=ReasonInput,
        responses=answers({200: ProcessRunOutput}, 404, body=True),
    )
    def resume(self, request: Request, pk: UUID) -> Response:
        return self._drive(processes.resume, pk)

    @extend_schema(
        summary="Cancel a run",
        description="At once when it is paused or between two steps; else it is `cancelling` until the step under "
        "way has ended or reached its next chunk. 409 when it is over.",
        request=ReasonInput,
        responses=answers({200: ProcessRunOutput}, 404, body=True),
    )
    def cancel(self, request: Request, pk: UUID) -> Response:
        return self._drive(processes.cancel, pk)

    def _drive(self, service: Callable[..., ProcessRun], pk: UUID) -> Response:
        body = ReasonInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            run = service(pk, actor=self.actor(), reason=body.validated_data["reason"])
        except ProcessRun.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(ProcessRunOutput(self._run(run.pk)).data)

    def _run(self, pk: UUID) -> ProcessRun:
        run: ProcessRun | None = self.get_queryset().filter(pk=pk).first()
        if run is None:
            raise NotFound(self.not_found_text)
        return run
