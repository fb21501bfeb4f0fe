"""Plans of exports over the API: list, make, change, pause, resume, run now. The same services as in the admin."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time
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
from orders.api.export_views import ExportOutput
from orders.api.fields import Text, TimeOfDay, WholeNumber, Word
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.pagination import NewestFirst
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.selecting import OrderFilterInput
from orders.api.views import StrictViewSet
from orders.models import ExportPlan
from orders.models.rules import choices
from orders.selectors.filtering import MAX_LAST_HOURS
from orders.services import exports
from orders.vocabulary import MAX_PLAN_HOURS, ExportFormat

PLAN = ("orders.plan_exports",)
KEY = [key_header(required=False), *answer_headers(202)]


class PlanFilterInput(OrderFilterInput):
    """The same filters as those of `GET /api/orders/`, and `last_hours`; applied anew in each round."""

    last_hours = WholeNumber(
        min_value=1, max_value=MAX_LAST_HOURS, required=False, help_text="Orders received within them, in each round."
    )


class PlanChangeInput(ReasonInput):
    format = Word(choices=choices(ExportFormat))
    filter = PlanFilterInput(required=False, default=dict, help_text="None of them for all orders.")
    every_hours = WholeNumber(
        required=False, allow_null=True, default=None, min_value=1, max_value=MAX_PLAN_HOURS, help_text="Or `daily_at`."
    )
    daily_at = TimeOfDay(required=False, allow_null=True, default=None, help_text="UTC, as 06:30; or `every_hours`.")

    def plan(self) -> dict[str, Any]:
        given = self.validated_data
        return {
            "format": ExportFormat(given["format"]),
            "asked": _saved(given["filter"]),
            "every_hours": given["every_hours"],
            "daily_at": given["daily_at"],
            "reason": given["reason"],
        }


class PlanInput(PlanChangeInput):
    name = Text(max_length=100)


def _saved(given: dict[str, Any]) -> dict[str, Any]:
    """As a plan keeps its filter: moments as text."""
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in given.items()}


class PlanOutput(serializers.ModelSerializer):
    format = serializers.ChoiceField(choices=choices(ExportFormat))
    filter = serializers.DictField()
    daily_at = serializers.SerializerMethodField(help_text="UTC.")
    made_by = serializers.CharField(source="made_by.username", help_text="Whose permissions its exports need.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = ExportPlan
        fields = [
            "id",
            "name",
            "format",
            "filter",
            "every_hours",
            "daily_at",
            "paused",
            "next_at",
            "made_by",
            "last_at",
            "last_problem",
            "skipped",
            "created_at",
            "links",
        ]

    def get_daily_at(self, plan: ExportPlan) -> str | None:
        return f"{plan.daily_at:%H:%M}" if isinstance(plan.daily_at, time) else None

    def get_links(self, plan: ExportPlan) -> dict[str, str]:
        request = self.context["request"]
        return {
            "self": reverse("api:export-plan", kwargs={"pk": plan.pk}, request=request),
            "page": reverse("admin:orders_exportplan_change", args=[plan.pk], request=request),
        }


class ExportPlans(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_exportplan",),
        "retrieve": ("orders.view_exportplan",),
        **dict.fromkeys(("create", "change", "pause", "resume", "run"), PLAN),
    }
    hidden_actions = frozenset({"retrieve"})
    not_found_text = "There is no plan of that id, or you may not see it."
    queryset = ExportPlan.objects.select_related("made_by")
    serializer_class = PlanOutput
    filter_backends = []
    pagination_class = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(summary="Plans, newest first", description="", responses=answers({200: PlanOutput(many=True)}))
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(PlanOutput(page, many=True, context={"request": request}).data)

    @extend_schema(
        summary="One plan",
        description="What its last round came to is in `last_problem`; empty when it made an export.",
        responses=answers({200: PlanOutput}, 404),
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(self._data(self._plan(pk)))

    @extend_schema(
        summary="Plan an export",
        description="It is asked for again and again in your name, with the permissions that you hold then.",
        request=PlanInput,
        responses=answers({201: PlanOutput}, body=True),
        parameters=[key_header(required=True), *answer_headers(201)],
    )
    def create(self, request: Request) -> HttpResponse:
        def work() -> Answer:
            body = PlanInput(data=request.data)
            body.is_valid(raise_exception=True)
            plan = exports.plan(body.validated_data["name"], actor=self.actor(), **body.plan())
            return self._answer(plan, 201)

        return idempotency.answer_once(request, work, key_required=True)

    @extend_schema(
        summary="Change a plan",
        description="All but its name, from the next round on. It is yours then: its exports need your permissions.",
        request=PlanChangeInput,
        responses=answers({202: PlanOutput}, 404, body=True),
        parameters=KEY,
    )
    def change(self, request: Request, pk: UUID) -> HttpResponse:
        def work() -> Answer:
            body = PlanChangeInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._plan(pk)
            return self._answer(exports.change(pk, actor=self.actor(), **body.plan()), 202)

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="Pause a plan",
        description="It asks for nothing until it is resumed. 409 when it is paused.",
        request=ReasonInput,
        responses=answers({202: PlanOutput}, 404, body=True),
        parameters=KEY,
    )
    def pause(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, lambda **given: self._answer(exports.pause(pk, **given), 202))

    @extend_schema(
        summary="Let a paused plan go on",
        description="With its next round; what was missed stays missed. 409 when it is not paused.",
        request=ReasonInput,
        responses=answers({202: PlanOutput}, 404, body=True),
        parameters=KEY,
    )
    def resume(self, request: Request, pk: UUID) -> HttpResponse:
        return self._give(pk, lambda **given: self._answer(exports.resume(pk, **given), 202))

    @extend_schema(
        summary="Ask for a planned export now",
        description="In your name, beside its rounds. 409 while the export before is still being made.",
        request=ReasonInput,
        responses=answers({202: ExportOutput}, 404, body=True),
        parameters=KEY,
    )
    def run(self, request: Request, pk: UUID) -> HttpResponse:
        def ask(**given: Any) -> Answer:
            data = dict(ExportOutput(exports.run_now(pk, **given), context={"request": request}).data)
            return Answer(status=202, body=data, location=data["links"]["self"])

        return self._give(pk, ask)

    def _give(self, pk: UUID, command: Callable[..., Answer]) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=self.request.data)
            body.is_valid(raise_exception=True)
            self._plan(pk)
            return command(actor=self.actor(), reason=body.validated_data["reason"])

        return idempotency.answer_once(self.request, work, key_required=False)

    def _answer(self, plan: ExportPlan, status: int) -> Answer:
        data = self._data(plan)
        return Answer(status=status, body=data, location=data["links"]["self"])

    def _plan(self, pk: UUID) -> ExportPlan:
        plan: ExportPlan | None = self.get_queryset().filter(pk=pk).first()
        if plan is None:
            raise NotFound(self.not_found_text)
        return plan

    def _data(self, plan: ExportPlan) -> dict[str, Any]:
        return dict(PlanOutput(plan, context={"request": self.request}).data)
