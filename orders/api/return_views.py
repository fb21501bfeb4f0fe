"""Returns of a completed order: announce one, say what came, refund it, withdraw or close it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.fields import StrictSerializer, WholeNumber, Word
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.order_views import Orders
from orders.api.permissions import PerAction
from orders.api.refund_views import RefundOutput, shown
from orders.api.returns_outgoing import ReturnOutput
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Order, ReturnCase
from orders.models.rules import choices
from orders.selectors.returns import with_lines
from orders.services import returning
from orders.services.returning import Announced, Received
from orders.vocabulary import (
    MAX_LINE_QUANTITY,
    MAX_ORDER_LINES,
    MAX_ORDER_TOTAL_MINOR,
    MAX_RETURN_LINES,
    UnsellableReason,
)


class AnnouncedLineInput(StrictSerializer):
    position = WholeNumber(min_value=1, max_value=MAX_ORDER_LINES, help_text="Of the line in the order.")
    quantity = WholeNumber(min_value=1, max_value=MAX_LINE_QUANTITY, help_text="Pieces that will come back.")


class AnnounceInput(ReasonInput):
    lines = AnnouncedLineInput(many=True, min_length=1, max_length=MAX_RETURN_LINES)  # type: ignore[call-arg]


class ReceivedLineInput(StrictSerializer):
    position = WholeNumber(min_value=1, max_value=MAX_ORDER_LINES, help_text="Of the line in the order.")
    received = WholeNumber(min_value=0, max_value=MAX_LINE_QUANTITY, help_text="Pieces that came.")
    unsellable = WholeNumber(
        min_value=0,
        max_value=MAX_LINE_QUANTITY,
        required=False,
        default=0,
        help_text="The part of `received` that does not go back into the stock; needs `unsellable_reason`.",
    )
    unsellable_reason = Word(choices=choices(UnsellableReason), required=False, allow_blank=True, default="")


class ReceiveInput(ReasonInput):
    lines = ReceivedLineInput(many=True, min_length=1, max_length=MAX_RETURN_LINES)  # type: ignore[call-arg]


class ReturnRefundInput(ReasonInput):
    amount_minor = WholeNumber(
        min_value=1, max_value=MAX_ORDER_TOTAL_MINOR, help_text="What you saw as due: a 409 when it is another sum."
    )


class OrderReturns(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_returncase",), "announce": ("orders.announce_return",)}
    not_found_text = Orders.not_found_text
    queryset = ReturnCase.objects.none()
    serializer_class = ReturnOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="The returns of an order",
        description="The newest first, at most two hundred.",
        responses=answers({200: ReturnOutput(many=True)}, 404),
    )
    def list(self, request: Request, number: str) -> Response:
        cases = with_lines(self._order(number).returns.all())[:200]
        return Response(ReturnOutput(cases, many=True).data)

    @extend_schema(
        summary="Announce that goods of a completed order come back",
        description="Of each line at most what was shipped and has neither come back nor been announced. An order has "
        "one open return at most: 409 with who announced it and when.",
        request=AnnounceInput,
        responses=answers({201: ReturnOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(201)],
    )
    def announce(self, request: Request, number: str) -> HttpResponse:
        def work() -> Answer:
            body = AnnounceInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._order(number)
            lines = [Announced(**line) for line in body.validated_data["lines"]]
            reason = body.validated_data["reason"]
            case = returning.announce(number, lines=lines, actor=self.actor(), reason=reason)
            where = reverse("api:order-returns", kwargs={"number": number}, request=request)
            return Answer(status=201, body=_whole(case), location=where)

        return idempotency.answer_once(request, work, key_required=True)

    def _order(self, number: str) -> Order:
        order = Order.objects.filter(number=number).first()
        if order is None:
            raise NotFound(self.not_found_text)
        return order


class Returns(StrictViewSet):
    """What is done about one return."""

    permission_classes = [PerAction]
    action_permissions = {
        "receive": ("orders.receive_return",),
        "withdraw": ("orders.announce_return",),
        "refund": ("orders.refund_order",),
        "close": ("orders.refund_order",),
    }
    queryset = ReturnCase.objects.none()
    serializer_class = ReturnOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Say what came back",
        description="Never more than was announced; a line that is not named did not come. What can be sold is in the "
        "stock again; what is due is in the answer, and no money moves. 409 with who received it before.",
        request=ReceiveInput,
        responses=answers({200: ReturnOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(200)],
    )
    def receive(self, request: Request, pk: UUID) -> HttpResponse:
        def service(return_id: UUID, *, lines: Any, **given: Any) -> ReturnCase:
            return returning.receive(return_id, lines=[Received(**line) for line in lines], **given)

        return self._answer(service, pk, ReceiveInput)

    @extend_schema(
        summary="Withdraw a return of which nothing came",
        description="409 when pieces came.",
        request=ReasonInput,
        responses=answers({200: ReturnOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(200)],
    )
    def withdraw(self, request: Request, pk: UUID) -> HttpResponse:
        return self._answer(returning.withdraw, pk, ReasonInput)

    @extend_schema(
        summary="Close a received return without a refund",
        description="409 while a refund of it is under way, or waits for a second person.",
        request=ReasonInput,
        responses=answers({200: ReturnOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(200)],
    )
    def close(self, request: Request, pk: UUID) -> HttpResponse:
        return self._answer(returning.close, pk, ReasonInput)

    @extend_schema(
        summary="Refund what came back",
        description="Exactly what is payable for it; above the limit it waits for a second person. The return is "
        "refunded when the money went back. 409 when another sum is due or somebody refunds the order already.",
        request=ReturnRefundInput,
        responses=answers({202: RefundOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(202)],
    )
    def refund(self, request: Request, pk: UUID) -> HttpResponse:
        def work() -> Answer:
            body = ReturnRefundInput(data=request.data)
            body.is_valid(raise_exception=True)
            try:
                asked = returning.refund(pk, actor=self.actor(), **body.validated_data)
            except ReturnCase.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            answer = shown(asked)
            where = reverse("api:order-refunds", kwargs={"number": answer["order"]}, request=request)
            return Answer(status=202, body=answer, location=where)

        return idempotency.answer_once(request, work, key_required=True)

    def _answer(self, service: Callable[..., ReturnCase], pk: UUID, body_class: type[StrictSerializer]) -> HttpResponse:
        def work() -> Answer:
            body: Any = body_class(data=self.request.data)
            body.is_valid(raise_exception=True)
            try:
                case = service(pk, actor=self.actor(), **body.validated_data)
            except ReturnCase.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            where = reverse("api:order-returns", kwargs={"number": case.order.number}, request=self.request)
            return Answer(status=200, body=_whole(case), location=where)

        return idempotency.answer_once(self.request, work, key_required=True)


def _whole(case: ReturnCase) -> dict[str, Any]:
    return dict(ReturnOutput(with_lines(ReturnCase.objects.filter(pk=case.pk)).get()).data)
