"""Order feeds through the API: send the file, ask where it stands, download what was refused."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.incoming import ImportParameters
from orders.api.outgoing import FeedOutput
from orders.api.parsers import CsvParser, JsonLinesParser, WorkbookParser
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import FeedImport
from orders.models.rules import choices
from orders.services import feeds
from orders.services.feeds.checking import EXISTS
from orders.streaming import CSV, attachment
from orders.vocabulary import DocumentKind


class CsvRenderer(BaseRenderer):
    """Only for negotiation: lets a client ask for text/csv; the download streams by itself."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: object, *args: object, **kwargs: object) -> bytes:
        return str(data).encode()


class BadCellOutput(serializers.Serializer):
    line = serializers.IntegerField(help_text="Of the file, the header being 1.")
    invoice = serializers.CharField()
    column = serializers.CharField(help_text="As the file names it; empty when the row as a whole is meant.")
    message = serializers.CharField()


class OutcomeOutput(serializers.Serializer):
    invoice = serializers.CharField()
    outcome = serializers.ChoiceField(choices=[*choices(DocumentKind), (EXISTS, "Exists")])
    reason = serializers.CharField()
    detail = serializers.CharField()
    lines = serializers.IntegerField()
    total_minor = serializers.IntegerField()
    order = serializers.CharField(help_text="Its number, once it is stored.")


class ReportOutput(serializers.Serializer):
    """What an import found."""

    figures = serializers.DictField()
    bad_rows = serializers.IntegerField(help_text="How many rows cannot be read.")
    rows = BadCellOutput(many=True)
    existing = serializers.IntegerField(help_text="Orders that are there already and would be linked.")
    invoices = OutcomeOutput(many=True)


class Imports(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "create": ("orders.import_feed",),
        "retrieve": ("orders.import_feed", "orders.view_feedimport"),
        "rejected": ("orders.import_feed", "orders.view_feedimport"),
        "report": ("orders.import_feed", "orders.view_feedimport"),
        "invoices": ("orders.import_feed", "orders.view_feedimport"),
    }
    hidden_actions = frozenset({"retrieve", "rejected", "report", "invoices"})
    not_found_text = "There is no import of that id, or you may not see it."
    parser_classes = [CsvParser, WorkbookParser, JsonLinesParser]
    queryset = FeedImport.objects.all()
    serializer_class = FeedOutput
    filter_backends = []
    pagination_class = None
    query_parameters = {"create": frozenset(ImportParameters().fields)}

    @extend_schema(
        summary="Send an order feed",
        description="The body is the file itself: CSV, an Excel workbook of one sheet, or JSON lines, told apart by "
        "its content. The import runs on its own; ask for its figures at `links.self`. With `dry_run` it stops before "
        "anything is stored.",
        request={
            CsvParser.media_type: {"type": "string"},
            WorkbookParser.media_type: {"type": "string", "format": "binary"},
            JsonLinesParser.media_type: {"type": "string"},
        },
        responses=answers({202: FeedOutput}, body=True),
        parameters=[ImportParameters, key_header(required=False), *answer_headers(202)],
    )
    def create(self, request: Request) -> HttpResponse:
        parameters = ImportParameters(data=request.query_params.dict())
        parameters.is_valid(raise_exception=True)
        chosen = parameters.validated_data
        # Without a body DRF gives an empty form instead of bytes.
        content = request.data if isinstance(request.data, bytes) else b""
        # Before the transaction of the answer, which would stay open for as long as a workbook takes.
        limits: dict[str, Any] = {
            "max_bytes": settings.FEED_UPLOAD_MAX_BYTES,
            "max_rows": settings.FEED_UPLOAD_MAX_ROWS,
        }
        converted = feeds.convert(content, layout=chosen["layout"], actor=self.actor(), **limits)

        def receive() -> Answer:
            feed = feeds.receive(content, actor=self.actor(), converted=converted, **limits, **chosen)
            data = self._data(self._feed(str(feed.pk)))
            return Answer(status=202, body=data, location=data["links"]["self"])

        return idempotency.answer_once(request, receive, key_required=False)

    @extend_schema(
        summary="Where an import stands",
        description="The figures are counted from what is stored so far; they are final when `finished_at` is set.",
        responses=answers({200: FeedOutput}, 404),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._data(self._feed(pk)))

    @extend_schema(
        summary="The refused rows of an import, as a CSV file",
        description="With the line of the file and what is wrong, ready to be mended and sent again. 409 when the file "
        "is deleted (`file_gone_at`).",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR}, 404, 409),
        parameters=[
            OpenApiParameter("Content-Disposition", str, OpenApiParameter.HEADER, response=[200], required=True),
        ],
    )
    def rejected(self, request: Request, pk: str) -> HttpResponseBase:
        feed = self._feed(pk)
        return attachment(request._request, feeds.bad_rows_csv(feed), name=f"rejected-{feed.pk}.csv", content_type=CSV)

    @extend_schema(
        summary="What an import found, before and after it is committed",
        description="The figures, the first hundred rows that cannot be read (line, column, what is wrong), and the "
        "first hundred invoices with what becomes of each: an order, a credit note, `exists`, or rejected and why.",
        responses=answers({200: ReportOutput}, 404),
    )
    def report(self, request: Request, pk: str) -> Response:
        return Response(ReportOutput(feeds.report(self._feed(pk))).data)

    @extend_schema(
        summary="What becomes of every invoice of an import, as a CSV file",
        description="One line an invoice: outcome, reason, lines, total, and the order's number once it is stored.",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR}, 404),
        parameters=[
            OpenApiParameter("Content-Disposition", str, OpenApiParameter.HEADER, response=[200], required=True),
        ],
    )
    def invoices(self, request: Request, pk: str) -> HttpResponseBase:
        feed = self._feed(pk)
        return attachment(request._request, feeds.invoices_csv(feed), name=f"invoices-{feed.pk}.csv", content_type=CSV)

    def get_renderers(self) -> list[BaseRenderer]:
        return [CsvRenderer(), JSONRenderer()] if self.action in {"rejected", "invoices"} else [JSONRenderer()]

    def _feed(self, pk: str) -> FeedImport:
        feed = FeedImport.objects.filter(pk=pk).first()
        if feed is None:
            raise NotFound(self.not_found_text)
        return feed

    def _data(self, feed: FeedImport) -> dict:
        return dict(FeedOutput(feed, context={"request": self.request}).data)
