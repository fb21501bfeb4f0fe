"""Runs of playbooks over the API: start one on an order, see how far it is, drive it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.fields import StrictSerializer, Text, WholeNumber
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.pagination import NewestFirst
from orders.api.permissions import PerAction
from orders.api.playbook_views import GivenField
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Order, PlaybookRun, PlaybookStepRun
from orders.models.rules import choices
from orders.services.playbooks import running
from orders.vocabulary import PlaybookRunStatus, PlaybookStepStatus, RunTrigger
from orders.voucher_codes import masked


class RunInput(ReasonInput):
    order = Text(max_length=32)
    playbook = Text(max_length=40)
    version = WholeNumber(
        required=False, allow_null=True, default=None, min_value=1, max_value=2**31 - 1, help_text="Else the newest."
    )
    inputs = GivenField(required=False, default=dict)


class StepInput(ReasonInput):
    path = Text(max_length=200, help_text="Of the step, as the run shows it.")


class AnswerInput(StrictSerializer):
    path = Text(max_length=200)
    option = Text(max_length=40)
    reason = Text(max_length=500, required=False, allow_blank=True, default="")


class Masked(serializers.DictField):
    def to_representation(self, value: Any) -> Any:
        return masked(super().to_representation(value))


class StepRunOutput(serializers.ModelSerializer):
    status = serializers.ChoiceField(choices=choices(PlaybookStepStatus))
    parameters = Masked(help_text="Codes of vouchers are shown in part.")
    result = Masked(help_text="Codes of vouchers are shown in part.")

    class Meta:
        model = PlaybookStepRun
        fields = [
            "path",
            "step_id",
            "type",
            "status",
            "failures",
            "parameters",
            "result",
            "error",
            "deadline_at",
            "started_at",
            "finished_at",
            "decided_by",
        ]


class RunOutput(serializers.ModelSerializer):
    order = serializers.CharField(source="order.number")
    playbook = serializers.CharField(source="version.playbook.slug")
    version = serializers.IntegerField(source="version.number", help_text="What it follows, whatever was saved since.")
    status = serializers.ChoiceField(choices=choices(PlaybookRunStatus))
    trigger = serializers.ChoiceField(choices=choices(RunTrigger))
    started_by = serializers.CharField(source="started_by.username")
    inputs = serializers.DictField()

    class Meta:
        model = PlaybookRun
        fields = [
            "id",
            "order",
            "playbook",
            "version",
            "version_hash",
            "status",
            "trigger",
            "started_by",
            "inputs",
            "reason",
            "created_at",
            "status_since",
            "ended_at",
            "message",
        ]


class RunDetail(RunOutput):
    steps = serializers.SerializerMethodField(help_text="Those that have begun, at most five hundred, oldest first.")

    class Meta(RunOutput.Meta):
        fields = [*RunOutput.Meta.fields, "steps"]

    def get_steps(self, run: PlaybookRun) -> list[dict[str, Any]]:
        return [dict(one) for one in StepRunOutput(run.steps.order_by("id")[:500], many=True).data]


KEY = [key_header(required=False), *answer_headers(202)]


class PlaybookRuns(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_playbookrun",),
        "retrieve": ("orders.view_playbookrun",),
        "start": ("orders.run_playbook",),
        "answer": ("orders.run_playbook",),
        **dict.fromkeys(("pause", "resume", "cancel", "retry", "skip"), ("orders.drive_playbook",)),
    }
    queryset = PlaybookRun.objects.select_related("order", "version__playbook", "started_by")
    serializer_class = RunOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(
        summary="Runs of playbooks", description="The newest first.", responses=answers({200: RunOutput(many=True)})
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(RunOutput(page, many=True).data)

    @extend_schema(
        summary="One run",
        description="How far it is, step by step.",
        responses=answers({200: RunDetail}, 404),
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(RunDetail(self._run(pk)).data)

    @extend_schema(
        summary="Run a playbook on an order",
        description="It acts for you: your permissions are asked for now and at every step. 409 when it runs on the "
        "order already, with who started it and when.",
        request=RunInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def start(self, request: Request) -> HttpResponse:
        def work() -> Answer:
            body = RunInput(data=request.data)
            body.is_valid(raise_exception=True)
            said = dict(body.validated_data)
            try:
                run = running.start(said.pop("order"), said.pop("playbook"), actor=self.actor(), **said)
            except Order.DoesNotExist as error:
                raise NotFound("There is no such order, or you may not see it.") from error
            return self._answer(run.pk)

        return idempotency.answer_once(request, work, key_required=True)

    @extend_schema(
        summary="Pause a run",
        description="No further step begins; one that is under way ends first.",
        request=ReasonInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def pause(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.pause, ReasonInput)

    @extend_schema(
        summary="Resume a run",
        description="409 when it is not paused.",
        request=ReasonInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def resume(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.resume, ReasonInput)

    @extend_schema(
        summary="Cancel a run",
        description="It ends, and what it did is undone in reverse, also while it is paused or waits for a person.",
        request=ReasonInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def cancel(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.cancel, ReasonInput)

    @extend_schema(
        summary="Retry a failed step",
        description="With all its attempts. 409 when that step has not failed.",
        request=StepInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def retry(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.retry, StepInput)

    @extend_schema(
        summary="Skip a failed step",
        description="The run goes on without it. 409 when that step has not failed.",
        request=StepInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def skip(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.skip, StepInput)

    @extend_schema(
        summary="Answer a question of a run",
        description="409 when it was answered, with who and when.",
        request=AnswerInput,
        responses=answers({202: RunDetail}, 404, body=True),
        parameters=KEY,
    )
    def answer(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, running.answer, AnswerInput)

    def _give(self, pk: UUID, service: Callable[..., PlaybookRun], body_class: type[StrictSerializer]) -> HttpResponse:
        def work() -> Answer:
            body: Any = body_class(data=self.request.data)
            body.is_valid(raise_exception=True)
            self._run(pk)
            service(pk, actor=self.actor(), **body.validated_data)
            return self._answer(pk)

        return idempotency.answer_once(self.request, work, key_required=False)

    def _run(self, pk: UUID) -> PlaybookRun:
        run: PlaybookRun | None = self.get_queryset().filter(pk=pk).first()
        if run is None:
            raise NotFound(self.not_found_text)
        return run

    def _answer(self, pk: UUID) -> Answer:
        where = reverse("api:playbook-run", kwargs={"pk": pk}, request=self.request)
        return Answer(status=202, body=dict(RunDetail(self._run(pk)).data), location=where)
