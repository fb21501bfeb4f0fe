"""What can be told an import: commit its dry run, pause it, resume it, cancel it."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.import_views import Imports
from orders.api.incoming import ReasonInput
from orders.api.outgoing import FeedOutput
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import FeedImport
from orders.services import feeds
from orders.vocabulary import CommandKind

KEY = [key_header(required=False), *answer_headers(202)]
RESPONSES = answers({202: FeedOutput}, 404, body=True)


class ImportCommands(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = dict.fromkeys(("commit", "pause", "resume", "cancel"), ("orders.import_feed",))
    not_found_text = Imports.not_found_text
    queryset = FeedImport.objects.none()
    serializer_class = FeedOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Commit a dry run: store what its report says",
        description="Needs what sending the file without `dry_run` needs. 409 when it does not wait for that.",
        request=ReasonInput,
        responses=RESPONSES,
        parameters=KEY,
    )
    def commit(self, request: Request, pk: str) -> HttpResponse:
        return self._tell(pk, CommandKind.IMPORT_COMMIT)

    @extend_schema(
        summary="Pause an import",
        description="When this answers, nothing more is written until it is resumed. 409 when nothing is under way.",
        request=ReasonInput,
        responses=RESPONSES,
        parameters=KEY,
    )
    def pause(self, request: Request, pk: str) -> HttpResponse:
        return self._tell(pk, CommandKind.IMPORT_PAUSE)

    @extend_schema(
        summary="Let a paused import go on",
        description="It goes on where it stopped. 409 when it is not paused.",
        request=ReasonInput,
        responses=RESPONSES,
        parameters=KEY,
    )
    def resume(self, request: Request, pk: str) -> HttpResponse:
        return self._tell(pk, CommandKind.IMPORT_RESUME)

    @extend_schema(
        summary="Stop an import for good, or discard a dry run",
        description="What it has stored stays. 409 when it has ended.",
        request=ReasonInput,
        responses=RESPONSES,
        parameters=KEY,
    )
    def cancel(self, request: Request, pk: str) -> HttpResponse:
        return self._tell(pk, CommandKind.IMPORT_CANCEL)

    def _tell(self, pk: str, kind: CommandKind) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=self.request.data)
            body.is_valid(raise_exception=True)
            try:
                feed = feeds.tell(pk, kind, actor=self.actor(), **body.validated_data)
            except FeedImport.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            data = dict(FeedOutput(feed, context={"request": self.request}).data)
            return Answer(status=202, body=data, location=data["links"]["self"])

        return idempotency.answer_once(self.request, work, key_required=False)
