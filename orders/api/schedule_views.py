"""Schedules and the health of the machinery, as workers last saw them; no call here waits for Temporal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders import clock
from orders.api.fields import Moment
from orders.api.incoming import ReasonInput
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import QueueState, ScheduleState
from orders.selectors import findings, health
from orders.services import scheduling
from orders.wording import Tone


class BackfillInput(ReasonInput):
    since = Moment(help_text="The runs that were due from here on; at most 31 days.")
    until = Moment(help_text="Until here; not in the future.")


class ScheduleOutput(serializers.ModelSerializer):
    """A schedule as a worker last saw it."""

    class Meta:
        model = ScheduleState
        fields = [
            "name",
            "summary",
            "next_run_at",
            "last_run_at",
            "last_result",
            "paused",
            "paused_by",
            "pause_reason",
            "missed",
            "seen_at",
        ]


class Schedules(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_schedulestate",),
        "pause": ("orders.drive_schedule",),
        "resume": ("orders.drive_schedule",),
        "run": ("orders.drive_schedule",),
        "backfill": ("orders.drive_schedule",),
    }
    queryset = ScheduleState.objects.all()
    serializer_class = ScheduleOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="What runs by itself, and when",
        description="As a worker saw it at `seen_at`.",
        responses=answers({200: ScheduleOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        return Response(ScheduleOutput(self.get_queryset(), many=True).data)

    @extend_schema(
        summary="Pause a schedule",
        description="Temporal is told; `paused` follows within seconds. 409 when it is paused, with who and why.",
        request=ReasonInput,
        responses=answers({202: ScheduleOutput}, 404, body=True),
    )
    def pause(self, request: Request, name: str) -> Response:
        return self._drive(scheduling.pause, name, ReasonInput)

    @extend_schema(
        summary="Resume a schedule",
        description="Temporal is told; `paused` follows within seconds. 409 when it is not paused.",
        request=ReasonInput,
        responses=answers({202: ScheduleOutput}, 404, body=True),
    )
    def resume(self, request: Request, name: str) -> Response:
        return self._drive(scheduling.resume, name, ReasonInput)

    @extend_schema(
        summary="Run a schedule now",
        description="Besides its planned runs. 409 while the same command of somebody is on its way.",
        request=ReasonInput,
        responses=answers({202: ScheduleOutput}, 404, body=True),
    )
    def run(self, request: Request, name: str) -> Response:
        return self._drive(scheduling.run_now, name, ReasonInput)

    @extend_schema(
        summary="Make up for runs of the past",
        description="Those that were due between two moments, one after the other.",
        request=BackfillInput,
        responses=answers({202: ScheduleOutput}, 404, body=True),
    )
    def backfill(self, request: Request, name: str) -> Response:
        return self._drive(scheduling.backfill, name, BackfillInput)

    def _drive(self, service: Callable[..., ScheduleState], name: str, body_class: type[ReasonInput]) -> Response:
        body: Any = body_class(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            row = service(name, actor=self.actor(), **body.validated_data)
        except ScheduleState.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        return Response(ScheduleOutput(row).data, status=202)


class QueueOutput(serializers.ModelSerializer):
    """A task queue: whether a worker of ours polls it, and what Temporal said of it."""

    unserved_since = serializers.SerializerMethodField()

    class Meta:
        model = QueueState
        fields = ["name", "served_at", "unserved_since", "pollers", "backlog", "oldest_seconds", "asked_at"]

    def get_unserved_since(self, queue: QueueState) -> str | None:
        since = health.unserved_since(queue, clock.now())
        return since.isoformat() if since else None


class HealthPart(serializers.Serializer):
    name = serializers.CharField()
    ok = serializers.BooleanField()
    word = serializers.CharField()
    detail = serializers.CharField()


class HealthOutput(serializers.Serializer):
    """What the landing page's health card says, for a program that watches it."""

    ok = serializers.BooleanField(help_text="False as soon as one part needs a person.")
    parts = HealthPart(many=True)
    queues = QueueOutput(many=True)


class Health(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"retrieve": ("orders.view_queuestate",)}
    queryset = QueueState.objects.none()
    serializer_class = HealthOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="The health of the machinery",
        description="Workers, Temporal, clocks, queues, outbox and partners. A queue that no worker polls is told "
        "within a minute, with since when.",
        responses=answers({200: HealthOutput}),
    )
    def retrieve(self, request: Request) -> Response:
        lines = health.machinery(health.outbox_backlog(), findings.sweep_health())
        parts = [
            {"name": line.name, "ok": line.tone is not Tone.TROUBLE, "word": line.word, "detail": line.detail}
            for line in lines
        ]
        found = {
            "ok": all(part["ok"] for part in parts),
            "parts": parts,
            "queues": QueueState.objects.order_by("name"),
        }
        return Response(HealthOutput(found).data)
