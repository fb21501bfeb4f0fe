"""Exports: ask for a file of orders, ask how far it is, download it, or cancel it. Every call answers at once."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.export_incoming import ExportInput
from orders.api.idempotency import Answer
from orders.api.import_views import CsvRenderer
from orders.api.incoming import ReasonInput
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Export
from orders.models.rules import choices
from orders.services import exports
from orders.services.exports.formats import CONTENT_TYPES
from orders.services.exports.keeping import is_over
from orders.streaming import attachment, require_place
from orders.vocabulary import ExportFormat, ExportStatus

WORKBOOK = CONTENT_TYPES[ExportFormat.XLSX]


class WorkbookRenderer(CsvRenderer):
    """Only for negotiation, as its parent."""

    media_type = WORKBOOK
    format = "xlsx"


class AnythingRenderer(CsvRenderer):
    """A client that says nothing gets the file in the format that was asked for with it."""

    media_type = "application/octet-stream"
    format = "bin"


class ExportOutput(serializers.ModelSerializer):
    """An export: how far it is, and where its file is once it is whole."""

    format = serializers.ChoiceField(choices=choices(ExportFormat))
    status = serializers.ChoiceField(choices=choices(ExportStatus))
    requested_by = serializers.CharField(source="actor")
    links = serializers.SerializerMethodField()

    class Meta:
        model = Export
        fields = [
            "id",
            "format",
            "status",
            "note",
            "reason",
            "requested_by",
            "row_count",
            "rows_written",
            "created_at",
            "finished_at",
            "expires_at",
            "links",
        ]

    @extend_schema_field(
        inline_serializer(
            "ExportLinks",
            {
                "self": serializers.URLField(),
                "page": serializers.URLField(help_text="For people."),
                "download": serializers.URLField(required=False, help_text="Present while there is a file."),
            },
        )
    )
    def get_links(self, export: Export) -> dict[str, str]:
        request = self.context["request"]
        at: dict[str, Any] = {"kwargs": {"pk": export.pk}, "request": request}
        links = {
            "self": reverse("api:export", **at),
            "page": reverse("admin:orders_export_change", args=[export.pk], request=request),
        }
        if export.status == ExportStatus.COMPLETED and not is_over(export):
            links["download"] = reverse("api:export-download", **at)
        return links


class Exports(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "create": ("orders.export_orders",),
        "retrieve": ("orders.view_export",),
        "cancel": ("orders.export_orders",),
        "download": ("orders.export_orders",),
    }
    hidden_actions = frozenset({"retrieve"})
    not_found_text = "There is no export of that id, or you may not see it."
    queryset = Export.objects.all()
    serializer_class = ExportOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Export orders to a file",
        description="Which orders are in the file is decided now; what it says of them is read while it is made.",
        request=ExportInput,
        responses=answers({202: ExportOutput}, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def create(self, request: Request) -> HttpResponse:
        return idempotency.answer_once(request, self._create, key_required=True)

    @extend_schema(
        summary="How far an export is",
        description="`links.download` is there when the file is whole, until `expires_at`.",
        responses=answers({200: ExportOutput}, 404),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._data(self._export(pk)))

    @extend_schema(
        summary="Stop an export that is being made",
        description="What was made of it is deleted. 409 when it has ended.",
        request=ReasonInput,
        responses=answers({202: ExportOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def cancel(self, request: Request, pk: str) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._export(pk)
            return self._answer(exports.cancel(pk, actor=self.actor(), reason=body.validated_data["reason"]))

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="The file of an export",
        description="Each download is recorded with who it was. 409 while there is no file, and when it was deleted.",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR, (200, WORKBOOK): OpenApiTypes.BINARY}, 404, 409),
        parameters=[
            OpenApiParameter("Content-Disposition", str, OpenApiParameter.HEADER, response=[200], required=True),
        ],
    )
    def download(self, request: Request, pk: str) -> HttpResponseBase:
        self._export(pk)
        require_place(request._request)
        file = exports.download(pk, actor=self.actor())
        return attachment(request._request, file.pieces, name=file.name, content_type=file.content_type)

    def get_renderers(self) -> list[BaseRenderer]:
        if self.action != "download":
            return [JSONRenderer()]
        return [AnythingRenderer(), CsvRenderer(), WorkbookRenderer(), JSONRenderer()]

    def _create(self) -> Answer:
        body = ExportInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        export = exports.request(
            body.selection(), ExportFormat(given["format"]), actor=self.actor(), reason=given["reason"]
        )
        return self._answer(export)

    def _answer(self, export: Export) -> Answer:
        data = self._data(export)
        return Answer(status=202, body=data, location=data["links"]["self"])

    def _export(self, pk: str) -> Export:
        export = Export.objects.filter(pk=pk).first()
        if export is None:
            raise NotFound(self.not_found_text)
        return export

    def _data(self, export: Export) -> dict[str, Any]:
        return dict(ExportOutput(export, context={"request": self.request}).data)
