"""Notices to the customer of an order: what became of them, and sending one again."""

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
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.order_views import Orders
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Notice, Order
from orders.models.rules import choices
from orders.services import notices
from orders.vocabulary import NoticeKind, NoticeStatus


class NoticeOutput(serializers.ModelSerializer):
    """A mail to the customer; neither its text nor its address is stored."""

    order = serializers.CharField(source="order.number")
    kind = serializers.ChoiceField(choices=choices(NoticeKind))
    status = serializers.ChoiceField(choices=choices(NoticeStatus))
    note = serializers.CharField(help_text="Why it was not sent, or why the newest attempt failed.")

    class Meta:
        model = Notice
        fields = ["id", "order", "kind", "status", "tries", "attempts", "note", "created_at", "finished_at"]


class Notices(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_notice",), "send": ("orders.send_notice",)}
    not_found_text = Orders.not_found_text
    queryset = Notice.objects.select_related("order")
    serializer_class = NoticeOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="The notices to the customer of an order",
        description="One for each kind of news; empty when there was none to tell.",
        responses=answers({200: NoticeOutput(many=True)}, 404),
    )
    def list(self, request: Request, number: str) -> Response:
        self._require_order(number)
        return Response(NoticeOutput(self.get_queryset().filter(order__number=number), many=True).data)

    @extend_schema(
        summary="Send a notice again that failed or was not sent",
        description="409 when none waits for it, or with the reason why it still cannot be sent.",
        request=ReasonInput,
        responses=answers({202: NoticeOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def send(self, request: Request, number: str) -> HttpResponse:
        def work() -> Answer:
            body: Any = ReasonInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._require_order(number)
            notice = notices.send_again(number, actor=self.actor(), **body.validated_data)
            where = reverse("api:order-notices", kwargs={"number": number}, request=request)
            return Answer(status=202, body=dict(NoticeOutput(notice).data), location=where)

        return idempotency.answer_once(request, work, key_required=True)

    def _require_order(self, number: str) -> None:
        if not Order.objects.filter(number=number).exists():
            raise NotFound(self.not_found_text)
