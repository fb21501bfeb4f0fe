"""Order feeds through the API: send the file, ask where it stands, download what was refused."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.incoming import ImportParameters
from orders.api.outgoing import FeedOutput
from orders.api.parsers import CsvParser
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import FeedImport
from orders.services import feeds


class CsvRenderer(BaseRenderer):
    """Only for negotiation: lets a client ask for text/csv; the download streams by itself."""

    media_type = "text/csv"
    format = "csv"
    charset = "utf-8"

    def render(self, data: object, *args: object, **kwargs: object) -> bytes:
        return str(data).encode()


class Imports(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "create": ("orders.import_feed",),
        "retrieve": ("orders.import_feed", "orders.view_feedimport"),
        "rejected": ("orders.import_feed", "orders.view_feedimport"),
    }
    hidden_actions = frozenset({"retrieve", "rejected"})
    not_found_text = "There is no import of that id, or you may not see it."
    parser_classes = [CsvParser]
    queryset = FeedImport.objects.all()
    serializer_class = FeedOutput
    filter_backends = []
    pagination_class = None
    query_parameters = {"create": frozenset(ImportParameters().fields)}

    @extend_schema(
        summary="Send an order feed",
        description="The body is the CSV file itself. The import runs on its own; ask for its figures at `links.self`.",
        request={"text/csv": {"type": "string"}},
        responses=answers({202: FeedOutput}, body=True),
        parameters=[ImportParameters, key_header(required=False), *answer_headers(202)],
    )
    def create(self, request: Request) -> HttpResponse:
        return idempotency.answer_once(request, self._receive, key_required=False)

    @extend_schema(
        summary="Where an import stands",
        description="The figures are counted from what is stored so far; they are final when `finished_at` is set.",
        responses=answers({200: FeedOutput}, 404),
    )
    def retrieve(self, request: Request, pk: str) -> Response:
        return Response(self._data(self._feed(pk)))

    @extend_schema(
        summary="The refused rows of an import, as a CSV file",
        description="With the line of the file and what is wrong, ready to be mended and sent again.",
        responses=answers({(200, "text/csv"): OpenApiTypes.STR}, 404),
        parameters=[
            OpenApiParameter("Content-Disposition", str, OpenApiParameter.HEADER, response=[200], required=True),
        ],
    )
    def rejected(self, request: Request, pk: str) -> HttpResponseBase:
        feed = self._feed(pk)
        name = f"rejected-{feed.pk}.csv"
        return StreamingHttpResponse(
            feeds.bad_rows_csv(feed),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"},
        )

    def get_renderers(self) -> list[BaseRenderer]:
        return [CsvRenderer(), JSONRenderer()] if self.action == "rejected" else [JSONRenderer()]

    def _receive(self) -> Answer:
        parameters = ImportParameters(data=self.request.query_params.dict())
        parameters.is_valid(raise_exception=True)
        # Without a body DRF gives an empty form instead of bytes.
        content = self.request.data if isinstance(self.request.data, bytes) else b""
        feed = feeds.receive(
            content,
            actor=self.actor(),
            max_bytes=settings.FEED_UPLOAD_MAX_BYTES,
            max_rows=settings.FEED_UPLOAD_MAX_ROWS,
            **parameters.validated_data,
        )
        data = self._data(self._feed(str(feed.pk)))
        return Answer(status=202, body=data, location=data["links"]["self"])

    def _feed(self, pk: str) -> FeedImport:
        feed = FeedImport.objects.filter(pk=pk).first()
        if feed is None:
            raise NotFound(self.not_found_text)
        return feed

    def _data(self, feed: FeedImport) -> dict:
        return dict(FeedOutput(feed, context={"request": self.request}).data)
