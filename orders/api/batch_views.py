"""Batches: look first, freeze, follow, and pause, resume, cancel, retry or undo. Every call answers at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.batch_incoming import BatchInput, SelectionInput
from orders.api.idempotency import Answer
from orders.api.import_views import CsvRenderer
from orders.api.incoming import ReasonInput
from orders.api.pagination import NewestFirst, StrictCursor
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Batch, BatchItem
from orders.models.rules import choices
from orders.selectors import batches as reading
from orders.services import batches
from orders.services.batches.downloading import items_csv
from orders.streaming import CSV, attachment
from orders.vocabulary import BatchAction, BatchStatus, ItemStatus

RUN = ("orders.run_batch",)
VIEW = ("orders.view_batch",)


class BatchFigures(serializers.Serializer):
    items = serializers.DictField(child=serializers.IntegerField(), help_text="Status of an item -> how many.")
    per_minute = serializers.FloatField(help_text="Items that ended within the last minute.")
    seconds_left = serializers.IntegerField(allow_null=True, help_text="At this rate; null when nobody can say.")


class BatchGroup(serializers.Serializer):
    says = serializers.CharField(source="words")
    count = serializers.IntegerField()
    example = serializers.CharField()


class BatchSummary(serializers.ModelSerializer):
    action = serializers.ChoiceField(choices=choices(BatchAction))
    status = serializers.ChoiceField(choices=choices(BatchStatus))
    requested_by = serializers.CharField(source="actor")
    undo_of = serializers.UUIDField(source="undo_of_id", allow_null=True)
    sums = serializers.DictField(child=serializers.IntegerField(), help_text="Currency -> minor units.")
    playbook = serializers.CharField(
        source="playbook.playbook.slug", allow_null=True, default=None, help_text="Of the action `playbook`."
    )
    version = serializers.IntegerField(source="playbook.number", allow_null=True, default=None)
    links = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = [
            "id",
            "action",
            "status",
            "status_since",
            "note",
            "reason",
            "requested_by",
            "item_count",
            "sums",
            "auto_pause_percent",
            "undo_of",
            "playbook",
            "version",
            "created_at",
            "started_at",
            "finished_at",
            "links",
        ]

    def get_links(self, batch: Batch) -> dict[str, str]:
        at: dict[str, Any] = {"kwargs": {"pk": batch.pk}, "request": self.context["request"]}
        return {
            "self": reverse("api:batch", **at),
            "items": reverse("api:batch-items", **at),
            "page": reverse("admin:orders_batch_change", args=[batch.pk], request=self.context["request"]),
        }


class BatchDetail(BatchSummary):
    figures = serializers.SerializerMethodField()
    failures = serializers.SerializerMethodField(help_text="Failed items by reason.")

    class Meta(BatchSummary.Meta):
        fields = [*BatchSummary.Meta.fields[:-1], "figures", "failures", "links"]

    def get_figures(self, batch: Batch) -> dict[str, Any]:
        now = reading.figures(batch)
        return {
            "items": {status.value: count for status, count in now.counts.items()},
            "per_minute": now.per_minute,
            "seconds_left": now.seconds_left,
        }

    def get_failures(self, batch: Batch) -> list[dict[str, Any]]:
        return [dict(BatchGroup(group).data) for group in reading.failures(batch)]


class BatchItemOutput(serializers.ModelSerializer):
    order = serializers.CharField(source="order.number")
    placed_as = serializers.CharField(
        source="placed_as.number",
        allow_null=True,
        default=None,
        help_text="The new order, when a retry needed one.",
    )
    status = serializers.ChoiceField(choices=choices(ItemStatus))

    class Meta:
        model = BatchItem
        fields = [
            "position",
            "order",
            "placed_as",
            "status",
            "outcome",
            "error_type",
            "error_message",
            "former_status",
            "tries",
            "started_at",
            "finished_at",
        ]


PREVIEW = inline_serializer(
    "BatchPreview",
    {
        "selected": serializers.IntegerField(),
        "expected": inline_serializer(
            "BatchExpected",
            {
                "count": serializers.IntegerField(),
                "sums": serializers.DictField(child=serializers.IntegerField()),
            },
        ),
        "excluded": serializers.DictField(child=serializers.IntegerField(), help_text="Why -> how many are left out."),
        "sample": serializers.ListField(child=serializers.CharField(), help_text="Numbers of the first orders."),
    },
)


class ByPosition(StrictCursor):
    ordering = ("position",)

    def is_position(self, text: str) -> bool:
        return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= 2**31 - 1


class Batches(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": VIEW,
        "create": RUN,
        "preview": RUN,
        "retrieve": VIEW,
        **dict.fromkeys(("pause", "resume", "cancel", "retry_failed", "undo"), RUN),
    }
    hidden_actions = frozenset({"retrieve"})
    not_found_text = "There is no batch of that id, or you may not see it."
    queryset = Batch.objects.select_related("playbook__playbook")
    serializer_class: type[serializers.BaseSerializer] = BatchSummary
    filter_backends = []
    pagination_class: type[StrictCursor] = NewestFirst
    query_parameters = {"list": NewestFirst.parameters}

    @extend_schema(summary="Batches, newest first", description="", responses=answers({200: BatchSummary(many=True)}))
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(BatchSummary(page, many=True, context={"request": request}).data)

    @extend_schema(
        summary="What a batch would do",
        description="Stores nothing. Send `expected` back with the batch: what changed meanwhile is a 409.",
        request=SelectionInput,
        responses=answers({200: PREVIEW}, body=True),
    )
    def preview(self, request: Request) -> Response:
        body = SelectionInput(data=request.data)
        body.is_valid(raise_exception=True)
        action, actor = BatchAction(body.validated_data["action"]), self.actor()
        shown = batches.preview(body.selection(), action, actor=actor)
        batches.require_playbook(action, body.chosen_playbook(), actor)
        return Response(
            {
                "selected": shown.selected,
                "expected": {"count": shown.seen.count, "sums": dict(shown.seen.sums)},
                "excluded": {why.value: count for why, count in shown.excluded.items()},
                "sample": [order.number for order in shown.sample],
            }
        )

    @extend_schema(
        summary="Run an action on many orders",
        description="The orders are frozen now. It needs the permission of the action too.",
        request=BatchInput,
        responses=answers({202: BatchDetail}, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def create(self, request: Request) -> HttpResponse:
        return idempotency.answer_once(request, self._create, key_required=True)

    @extend_schema(
        summary="One batch",
        description="Counted from its items at this moment.",
        responses=answers({200: BatchDetail}, 404),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._data(self._batch(pk)))

    def _create(self) -> Answer:
        body = BatchInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        batch = batches.create(
            body.selection(),
            BatchAction(body.validated_data["action"]),
            actor=self.actor(),
            reason=body.validated_data["reason"],
            seen=body.seen(),
            auto_pause_percent=body.validated_data["auto_pause_percent"],
            playbook=body.chosen_playbook(),
        )
        return self._answer(batch)

    def _steer(self, pk: str, service: Callable[..., Batch]) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=self.request.data)
            body.is_valid(raise_exception=True)
            try:
                batch = service(pk, actor=self.actor(), reason=body.validated_data["reason"])
            except Batch.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            return self._answer(batch)

        return idempotency.answer_once(self.request, work, key_required=False)

    def _answer(self, batch: Batch) -> Answer:
        data = self._data(batch)
        return Answer(status=202, body=data, location=data["links"]["self"])

    def _batch(self, pk: str) -> Batch:
        batch = Batch.objects.filter(pk=pk).first()
        if batch is None:
            raise NotFound(self.not_found_text)
        return batch

    def _data(self, batch: Batch) -> dict[str, Any]:
        return dict(BatchDetail(batch, context={"request": self.request}).data)


Call = TypeVar("Call", bound=Callable[..., HttpResponse])


def _steering(summary: str, description: str) -> Callable[[Call], Call]:
    return extend_schema(
        summary=summary,
        description=description,
        request=ReasonInput,
        responses=answers({202: BatchDetail}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )


class BatchCommands(Batches):
    """What is done about a batch that exists; the second of two is told who was first."""

    @_steering("Pause a batch", "What was begun ends first: it is `pausing` until then. 409 when it does not run.")
    def pause(self, request: Request, pk: str) -> HttpResponse:
        return self._steer(pk, batches.pause)

    @_steering("Let a paused batch go on", "What has failed so far does not pause it again. 409 unless it is paused.")
    def resume(self, request: Request, pk: str) -> HttpResponse:
        return self._steer(pk, batches.resume)

    @_steering("Cancel a batch", "What was done stays done, what has not begun never will. 409 when it has ended.")
    def cancel(self, request: Request, pk: str) -> HttpResponse:
        return self._steer(pk, batches.cancel)

    @_steering(
        "Do the failed items again",
        "Only those, after their causes were mended. An order that failed is placed again. 409 when there are none.",
    )
    def retry_failed(self, request: Request, pk: str) -> HttpResponse:
        return self._steer(pk, batches.retry_failed)

    @_steering("Undo a batch", "Answers the batch that brings the orders back. 409 when nothing takes the action back.")
    def undo(self, request: Request, pk: str) -> HttpResponse:
        return self._steer(pk, batches.undo)


class BatchItems(Batches):
    """One line for each order of the batch."""

    action_permissions = dict.fromkeys(("list", "download"), VIEW)
    hidden_actions = frozenset({"list", "download"})
    queryset = BatchItem.objects.none()  # type: ignore[assignment]
    serializer_class = BatchItemOutput
    pagination_class = ByPosition
    query_parameters = {"list": ByPosition.parameters}

    @extend_schema(
        summary="The items of a batch, in their order",
        description="One for each order that was selected, those that were left out included.",
        responses=answers({200: BatchItemOutput(many=True)}, 404),
    )
    def list(self, request: Request, pk: str) -> Response:  # type: ignore[override]
        items = BatchItem.objects.filter(batch=self._batch(pk)).select_related("order", "placed_as")
        page = self.paginate_queryset(items)
        return self.get_paginated_response(BatchItemOutput(page, many=True).data)

    @extend_schema(
        summary="The items of a batch, as a CSV file",
        description="All of them, in their order.",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR}, 404),
        parameters=[
            OpenApiParameter("Content-Disposition", str, OpenApiParameter.HEADER, response=[200], required=True),
        ],
    )
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        batch = self._batch(pk)
        return attachment(request._request, items_csv(batch), name=f"batch-{batch.pk}.csv", content_type=CSV)

    def get_renderers(self) -> list[BaseRenderer]:  # type: ignore[valid-type]
        return [CsvRenderer(), JSONRenderer()] if self.action == "download" else [JSONRenderer()]
