"""Refunds of a completed order: list them, ask for one, try a refused one again."""

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
from orders.api.fields import WholeNumber
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.order_views import Orders
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Approval, Order, Refund
from orders.models.rules import choices
from orders.services import refunding
from orders.vocabulary import MAX_ORDER_TOTAL_MINOR, RefundStatus

WAITING = "waiting_for_second"


class RefundInput(ReasonInput):
    amount_minor = WholeNumber(min_value=1, max_value=MAX_ORDER_TOTAL_MINOR)
    left_minor = WholeNumber(
        required=False,
        allow_null=True,
        default=None,
        min_value=0,
        max_value=MAX_ORDER_TOTAL_MINOR,
        help_text="What you saw as refundable: a 409 when somebody refunded since.",
    )


class RetryInput(ReasonInput):
    refund = serializers.UUIDField(
        required=False,
        allow_null=True,
        default=None,
        help_text="Which one, where several are refused; else the oldest.",
    )


class RefundOutput(serializers.Serializer):
    """A refund; the one that waits for a second person has the id that it will have."""

    id = serializers.UUIDField()
    order = serializers.CharField()
    status = serializers.ChoiceField(choices=[*choices(RefundStatus), (WAITING, "Waits for a second person")])
    amount_minor = serializers.IntegerField()
    reason = serializers.CharField()
    requested_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    gateway_reference = serializers.CharField()
    outside = serializers.BooleanField(help_text="Made at the gateway by somebody, and not through us.")
    note = serializers.CharField(help_text="Why the gateway refused it, or how the money went back instead.")
    approval = serializers.UUIDField(
        allow_null=True, help_text="What a second person decides or decided; see `/api/approvals/{id}/`."
    )


def shown(asked: Refund | Approval) -> dict[str, Any]:
    """As `RefundOutput` has it."""
    if isinstance(asked, Refund):
        names = ("id", "status", "amount_minor", "reason", "created_at", "gateway_reference", "outside", "note")
        facts = {name: getattr(asked, name) for name in names}
        facts |= {"order": asked.order.number, "requested_by": asked.actor, "approval": asked.approval_id}
    else:
        facts = {
            "id": asked.parameters["refund"],
            "order": asked.subject,
            "status": WAITING,
            "amount_minor": asked.parameters["amount_minor"],
            "reason": asked.reason,
            "requested_by": asked.requested_by.get_username(),
            "created_at": asked.requested_at,
            "gateway_reference": "",
            "outside": False,
            "note": f"Waits for a second person: {asked.says}",
            "approval": asked.pk,
        }
    return dict(RefundOutput(facts).data)


class Refunds(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_refund",),
        "create": ("orders.refund_order",),
        "retry": ("orders.refund_order",),
    }
    not_found_text = Orders.not_found_text
    queryset = Refund.objects.none()
    serializer_class = RefundOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="The refunds of an order",
        description="The newest first, at most two hundred. A refused one is owed to the customer; a pending one is on "
        "its way.",
        responses=answers({200: RefundOutput(many=True)}, 404),
    )
    def list(self, request: Request, number: str) -> Response:
        order = self._order(number)
        return Response([shown(refund) for refund in order.refunds.select_related("order")[:200]])

    @extend_schema(
        summary="Refund a completed order, wholly or in part",
        description="Never more than was taken, refunds under way included. Above the limit it waits for a second "
        "person. 409 when another refund is being sent or owed, with who asked for it and when, and while the payment "
        "is disputed.",
        request=RefundInput,
        responses=answers({202: RefundOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def create(self, request: Request, number: str) -> HttpResponse:
        def work() -> Answer:
            body = RefundInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._order(number)
            return self._answer(refunding.request(number, actor=self.actor(), **body.validated_data), number)

        return idempotency.answer_once(request, work, key_required=True)

    @extend_schema(
        summary="Try a refused refund again",
        description="Under a new key, after a look at what the gateway has. 409 when no refund is refused, another one "
        "is being sent, or the payment is disputed.",
        request=RetryInput,
        responses=answers({202: RefundOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def retry(self, request: Request, number: str) -> HttpResponse:
        def work() -> Answer:
            body = RetryInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._order(number)
            return self._answer(refunding.retry(number, actor=self.actor(), **body.validated_data), number)

        return idempotency.answer_once(request, work, key_required=True)

    def _order(self, number: str) -> Order:
        order = Order.objects.filter(number=number).first()
        if order is None:
            raise NotFound(self.not_found_text)
        return order

    def _answer(self, asked: Refund | Approval, number: str) -> Answer:
        where = reverse("api:order-refunds", kwargs={"number": number}, request=self.request)
        if isinstance(asked, Approval):
            where = reverse("api:approval", kwargs={"pk": asked.pk}, request=self.request)
        return Answer(status=202, body=shown(asked), location=where)
