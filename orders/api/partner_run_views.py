"""Runs of partner calls: start one, follow it with its calls, cancel it; and what an order shows of the answers."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from drf_spectacular.utils import extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.order_views import Orders
from orders.api.pagination import MAX_INTEGER, StrictCursor
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Order, PartnerCall, PartnerRun
from orders.models.rules import choices
from orders.selectors import partner_answers as shown_answers
from orders.selectors import partner_runs as selectors
from orders.services import partner_runs
from orders.vocabulary import PartnerCallStatus, PartnerCode, PartnerRunStatus
from orders.wording import Tone


class PartnerRunOutput(serializers.ModelSerializer):
    """A list of calls to a partner, and how far it is."""

    partner = serializers.ChoiceField(choices=choices(PartnerCode))
    status = serializers.ChoiceField(choices=choices(PartnerRunStatus))
    requested_by = serializers.CharField(source="actor")
    done = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="For good; the others went on.")
    cancelled = serializers.IntegerField()
    waiting = serializers.IntegerField(help_text="Were tried, and are tried again.")
    per_second = serializers.FloatField()
    why = serializers.CharField(help_text="Why the calls wait; empty when they do not.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = PartnerRun
        fields = [
            "id",
            "partner",
            "status",
            "requested_by",
            "reason",
            "total",
            "done",
            "failed",
            "cancelled",
            "waiting",
            "per_second",
            "why",
            "note",
            "created_at",
            "finished_at",
            "links",
        ]

    @extend_schema_field(
        inline_serializer("PartnerRunLinks", {"self": serializers.URLField(), "calls": serializers.URLField()})
    )
    def get_links(self, run: PartnerRun) -> dict[str, Any]:
        at: dict[str, Any] = {"kwargs": {"pk": run.pk}, "request": self.context["request"]}
        return {"self": reverse("api:partner-run", **at), "calls": reverse("api:partner-run-calls", **at)}

    def to_representation(self, run: PartnerRun) -> Any:
        progress = selectors.progress(run)
        for name in ("done", "failed", "cancelled", "waiting", "per_second"):
            setattr(run, name, getattr(progress, name))
        run.why = selectors.why_quiet(run)  # type: ignore[attr-defined]
        return super().to_representation(run)


class PartnerCallOutput(serializers.ModelSerializer):
    """One call and its result."""

    status = serializers.ChoiceField(choices=choices(PartnerCallStatus))

    class Meta:
        model = PartnerCall
        fields = ["subject", "status", "attempts", "error_type", "error_message", "outcome", "finished_at"]


class InOrder(StrictCursor):
    """The calls of a run as they were listed."""

    ordering = ("id",)

    def is_position(self, text: str) -> bool:
        return text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) <= MAX_INTEGER


class PartnerRuns(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "create": ("orders.run_partner_calls",),
        "cancel": ("orders.run_partner_calls",),
        "retrieve": ("orders.view_partnerrun", "orders.run_partner_calls"),
    }
    not_found_text = "There is no run of that id, or you may not see it."
    queryset = PartnerRun.objects.all()
    serializer_class = PartnerRunOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Refresh what a partner tells us",
        description="The carrier: tracking of all open shipments. Rates: exchange rates. Addresses: checks of all open "
        "orders. Calls wait while the partner is out of order. 409 while a run over this partner is under way, with "
        "who started it and when, and for a partner that has nothing to refresh.",
        request=ReasonInput,
        responses=answers({202: PartnerRunOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def create(self, request: Request, code: str) -> HttpResponse:
        def work() -> Answer:
            reason = self._reason(request)
            return self._answer(partner_runs.start(PartnerCode(code), actor=self.actor(), reason=reason))

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="Where a run of partner calls stands",
        description="Every call of the list is done, failed, cancelled, or still to come.",
        responses=answers({200: PartnerRunOutput}, 404),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(PartnerRunOutput(self._run(pk), context={"request": request}).data)

    @extend_schema(
        summary="Cancel a run of partner calls",
        description="No further call is made; results that came stay. 409 for a run that has ended.",
        request=ReasonInput,
        responses=answers({202: PartnerRunOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def cancel(self, request: Request, pk: str) -> HttpResponse:
        def work() -> Answer:
            reason = self._reason(request)
            return self._answer(partner_runs.cancel(self._run(pk).pk, actor=self.actor(), reason=reason))

        return idempotency.answer_once(request, work, key_required=False)

    def _reason(self, request: Request) -> str:
        body = ReasonInput(data=request.data)
        body.is_valid(raise_exception=True)
        return str(body.validated_data["reason"])

    def _run(self, pk: str) -> PartnerRun:
        run = PartnerRun.objects.filter(pk=pk).first()
        if run is None:
            raise NotFound(self.not_found_text)
        return run

    def _answer(self, run: PartnerRun) -> Answer:
        data = dict(PartnerRunOutput(run, context={"request": self.request}).data)
        return Answer(status=202, body=data, location=data["links"]["self"])


class PartnerRunCalls(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_partnerrun", "orders.run_partner_calls")}
    not_found_text = PartnerRuns.not_found_text
    queryset = PartnerCall.objects.none()
    serializer_class = PartnerCallOutput
    filter_backends = []
    pagination_class = InOrder
    query_parameters = {"list": InOrder.parameters}

    @extend_schema(
        summary="The calls of a run, with the result of each",
        description="In the order of the list.",
        responses=answers({200: PartnerCallOutput(many=True)}, 404),
    )
    def list(self, request: Request, pk: str) -> Response:
        page = self.paginate_queryset(self._calls(pk))
        return self.get_paginated_response(PartnerCallOutput(page, many=True).data)

    def _calls(self, pk: str) -> QuerySet[PartnerCall]:
        run = PartnerRun.objects.filter(pk=pk).first()
        if run is None:
            raise NotFound(self.not_found_text)
        return PartnerCall.objects.filter(run=run)


class ShownOutput(serializers.Serializer):
    """A partner's answer as the order's page shows it."""

    partner = serializers.ChoiceField(choices=choices(PartnerCode))
    what = serializers.CharField()
    value = serializers.CharField(help_text="A hyphen when there is no usable answer.")
    freshness = serializers.CharField(help_text="How old the answer is, and whether an old one stands in.")
    tone = serializers.ChoiceField(choices=choices(Tone))


class OrderAnswers(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_order",)}
    hidden_actions = frozenset({"list"})
    not_found_text = Orders.not_found_text
    queryset = PartnerCall.objects.none()
    serializer_class = ShownOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="What partners said about an order, with how old it is",
        description="The total in the reporting currency and the check of the address. Nobody is asked for it: POST to "
        "the partner's `runs/` refreshes it.",
        responses=answers({200: ShownOutput(many=True)}, 404),
    )
    def list(self, request: Request, number: str) -> Response:
        order = Order.objects.filter(number=number).first()
        if order is None:
            raise NotFound(self.not_found_text)
        return Response(ShownOutput(shown_answers.shown_for(order), many=True).data)
