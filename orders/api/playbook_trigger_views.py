"""What starts a playbook by itself, over the API: events of an order, and the time."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.accounts_outgoing import ApprovalOutput
from orders.api.fields import StrictSerializer, Text, WholeNumber, Word, YesNo
from orders.api.idempotency import Answer
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Approval, Playbook, PlaybookSchedule, PlaybookTrigger
from orders.models.rules import choices
from orders.services.playbooks import setting
from orders.vocabulary import EventType


class TriggerInput(StrictSerializer):
    event = Word(choices=choices(EventType))
    condition = Text(max_length=500, required=False, default="true", help_text="An expression over the order.")
    enabled = YesNo(default=True)


class PlaybookScheduleInput(StrictSerializer):
    every_hours = WholeNumber(min_value=1, max_value=24 * 30)
    condition = Text(max_length=500, help_text="An expression over the order; open orders that meet it get a run.")
    enabled = YesNo(default=True)


class TriggerOutput(serializers.ModelSerializer):
    event = serializers.ChoiceField(choices=choices(EventType))

    class Meta:
        model = PlaybookTrigger
        fields = ["event", "condition", "enabled", "made_by", "last_fired_at", "last_problem"]


class PlaybookScheduleOutput(serializers.ModelSerializer):
    class Meta:
        model = PlaybookSchedule
        fields = [
            "every_hours",
            "condition",
            "enabled",
            "made_by",
            "next_at",
            "last_fired_at",
            "last_started",
            "last_problem",
        ]


class StartsOutput(serializers.Serializer):
    events = TriggerOutput(many=True)
    schedule = PlaybookScheduleOutput(allow_null=True)


class PlaybookStarts(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_playbooktrigger",),
        "trigger": ("orders.set_trigger",),
        "schedule": ("orders.set_trigger",),
    }
    queryset = Playbook.objects.all()
    serializer_class = StartsOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        operation_id="playbooks_starts_retrieve",
        summary="What starts a playbook by itself",
        description="Events of an order, and a schedule.",
        responses=answers({200: StartsOutput}, 404),
    )
    def list(self, request: Request, slug: str) -> Response:
        return Response(self._shown(slug))

    @extend_schema(
        summary="Let an event start a playbook",
        description="Its newest published version, for whoever had it published; of a playbook that came with the "
        "product, for whoever first lets it start, who must be allowed to publish it. An event that the playbook knows "
        "already is changed. For a playbook that gives money it waits for a second person (202), who decides it under "
        "/api/approvals/.",
        request=TriggerInput,
        responses=answers({200: StartsOutput, 202: ApprovalOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(200, 202)],
    )
    def trigger(self, request: Request, slug: str) -> HttpResponse:
        return self._set(slug, TriggerInput, setting.set_trigger)

    @extend_schema(
        summary="Start a playbook every so often",
        description="On the open orders that meet the condition, each once in a round. For a playbook that gives money "
        "it waits for a second person, as an event does.",
        request=PlaybookScheduleInput,
        responses=answers({200: StartsOutput, 202: ApprovalOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(200, 202)],
    )
    def schedule(self, request: Request, slug: str) -> HttpResponse:
        return self._set(slug, PlaybookScheduleInput, setting.set_schedule)

    def _set(self, slug: str, body_class: type[StrictSerializer], service: Any) -> HttpResponse:
        def work() -> Answer:
            body: Any = body_class(data=self.request.data)
            body.is_valid(raise_exception=True)
            self._playbook(slug)
            made = service(slug, actor=self.actor(), **body.validated_data)
            if isinstance(made, Approval):
                where = reverse("api:approvals", request=self.request)
                return Answer(status=202, body=dict(ApprovalOutput(made).data), location=where)
            where = reverse("api:playbook-starts", kwargs={"slug": slug}, request=self.request)
            return Answer(status=200, body=self._shown(slug), location=where)

        return idempotency.answer_once(self.request, work, key_required=False)

    def _playbook(self, slug: str) -> Playbook:
        playbook: Playbook | None = self.get_queryset().filter(slug=slug).first()
        if playbook is None:
            raise NotFound(self.not_found_text)
        return playbook

    def _shown(self, slug: str) -> dict[str, Any]:
        playbook = self._playbook(slug)
        schedule = playbook.schedules.first()
        events = list(playbook.event_triggers.order_by("event"))
        return dict(StartsOutput({"events": events, "schedule": schedule}).data)
