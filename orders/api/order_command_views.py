"""Commands about an order that is under way: hold, release, cancel, and the review of a suspicious one.

Each is recorded in one transaction and answered at once; the order's process obeys it by itself, and the order's
history says when it did.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.incoming import (
    ClaimInput,
    ExtendInput,
    HoldInput,
    PauseInput,
    PaymentMethodInput,
    QuestionInput,
    ReasonInput,
    SkipInput,
)
from orders.api.order_views import Orders
from orders.api.outgoing import CommandOutput
from orders.api.pagination import ByDeadline
from orders.api.permissions import PerAction
from orders.api.review_outgoing import CancelPlanOutput, ReviewOutput
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Command, Order, ReviewCase
from orders.services import cancelling, holding, payment_methods, reviewing, skipping, stepping
from orders.vocabulary import ReviewStatus

KEY = [key_header(required=False), *answer_headers(202)]


class OrderCommands(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "hold": ("orders.hold_order",),
        "release": ("orders.hold_order",),
        "plan": ("orders.cancel_order",),
        "cancel": ("orders.cancel_order",),
        "payment_method": ("orders.change_payment_method",),
    }
    not_found_text = Orders.not_found_text
    queryset = Order.objects.none()
    serializer_class = CommandOutput
    filter_backends = []

    @extend_schema(
        summary="Hold an order before its next step",
        description="A step that is under way ends first. 409 when it is closed or somebody holds it already.",
        request=HoldInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def hold(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, holding.hold, HoldInput)

    @extend_schema(
        summary="Let a held order go on",
        description="409 when nobody holds it.",
        request=ReasonInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def release(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, holding.release)

    @extend_schema(
        summary="What cancelling the order now would do",
        description="409 when it is too late. A step that ends meanwhile is undone as well.",
        responses=answers({200: CancelPlanOutput}, 404, 409),
    )
    def plan(self, request: Request, number: str) -> Response:
        order = Order.objects.filter(number=number).first()
        if order is None:
            raise NotFound(self.not_found_text)
        return Response(CancelPlanOutput(cancelling.plan(order)).data)

    @extend_schema(
        summary="Cancel an order at any stage",
        description="Everything that was done is undone. 409 when it is closed, or being cancelled already, with who "
        "and when.",
        request=ReasonInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def cancel(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, cancelling.cancel)

    @extend_schema(
        summary="Change the payment method of an order",
        description="As long as its money was not taken: what was begun with the old one is cancelled at the gateway "
        "first. 409 when it is too late, with when the payment was taken.",
        request=PaymentMethodInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def payment_method(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, payment_methods.change, PaymentMethodInput)

    def _give(
        self,
        request: Request,
        number: str,
        service: Callable[..., Command],
        body_class: type[ReasonInput] = ReasonInput,
    ) -> HttpResponse:
        def work() -> Answer:
            body = body_class(data=self.request.data)
            body.is_valid(raise_exception=True)
            try:
                command = service(number, actor=self.actor(), **body.validated_data)
            except Order.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            data = CommandOutput(command, context={"request": self.request}).data
            return Answer(status=202, body=data, location=data["links"]["order"])

        return idempotency.answer_once(request, work, key_required=False)


class StepCommands(OrderCommands):
    """What can be done about a step that fails; the order itself stays where it is."""

    action_permissions = {
        **dict.fromkeys(("retry", "pause", "resume"), ("orders.drive_step",)),
        "skip": ("orders.skip_step",),
    }

    @extend_schema(
        summary="Try a failing step again at once",
        description="409 when no step is failing, with what became of the last one.",
        request=ReasonInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def retry(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, stepping.retry)

    @extend_schema(
        summary="Pause a failing step",
        description="No further attempt until it is resumed or the time is over. 409 when no step is failing or it is "
        "paused.",
        request=PauseInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def pause(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, stepping.pause, PauseInput)

    @extend_schema(
        summary="Let a paused step go on at once",
        description="409 when nobody paused it.",
        request=ReasonInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def resume(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, stepping.resume)

    @extend_schema(
        summary="Let a failing step do without its partner",
        description="The fraud check then counts our own rules only; a shipment is one that you booked by hand, with "
        "its carrier and tracking_number. 409 for every other step, and when it was skipped already.",
        request=SkipInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=KEY,
    )
    def skip(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, skipping.skip, SkipInput)


class Reviews(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_reviewcase",),
        "claim": ("orders.decide_review",),
        "ask": ("orders.decide_review",),
        "approve": ("orders.decide_review",),
        "reject": ("orders.decide_review",),
        "extend": ("orders.extend_review",),
    }
    not_found_text = Orders.not_found_text
    queryset = ReviewCase.objects.select_related("order__fraud_check", "owner", "first_by", "decided_by")
    serializer_class = ReviewOutput
    filter_backends = []
    pagination_class = ByDeadline
    query_parameters = {"list": ByDeadline.parameters}

    @extend_schema(
        summary="Open review cases, the most urgent first",
        description="Orders that a person must decide before money moves.",
        responses=answers({200: ReviewOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.get_queryset().filter(status=ReviewStatus.OPEN))
        return self.get_paginated_response(ReviewOutput(page, many=True, context={"request": request}).data)

    @extend_schema(
        summary="Become the owner of a review case",
        description="409 when somebody else owns it or it is decided.",
        request=ClaimInput,
        responses=answers({202: ReviewOutput}, 404, body=True),
        parameters=KEY,
    )
    def claim(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, reviewing.claim, ClaimInput)

    @extend_schema(
        summary="Note what must be known before the case can be decided",
        description="The question stands on the order's page until the case is decided.",
        request=QuestionInput,
        responses=answers({202: ReviewOutput}, 404, body=True),
        parameters=KEY,
    )
    def ask(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, reviewing.ask, QuestionInput)

    @extend_schema(
        summary="Give a review case more time",
        description="The deadline becomes that many hours from now.",
        request=ExtendInput,
        responses=answers({202: ReviewOutput}, 404, body=True),
        parameters=KEY,
    )
    def extend(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, reviewing.extend, ExtendInput)

    @extend_schema(
        summary="Approve an order in review",
        description="Above the amount of the rules it takes a second person. 409 names who decided and when.",
        request=ReasonInput,
        responses=answers({202: ReviewOutput}, 404, body=True),
        parameters=KEY,
    )
    def approve(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, reviewing.approve, ReasonInput)

    @extend_schema(
        summary="Reject an order in review",
        description="It ends as cancelled; its stock is given back and no money moves. 409 names who decided and when.",
        request=ReasonInput,
        responses=answers({202: ReviewOutput}, 404, body=True),
        parameters=KEY,
    )
    def reject(self, request: Request, number: str) -> HttpResponse:
        return self._give(request, number, reviewing.reject, ReasonInput)

    def _give(
        self, request: Request, number: str, service: Callable[..., ReviewCase], body_class: type[Serializer[Any]]
    ) -> HttpResponse:
        def work() -> Answer:
            body = body_class(data=self.request.data)
            body.is_valid(raise_exception=True)
            try:
                case = service(number, actor=self.actor(), **body.validated_data)
            except Order.DoesNotExist as error:
                raise NotFound(self.not_found_text) from error
            data = ReviewOutput(self.get_queryset().get(pk=case.pk), context={"request": self.request}).data
            return Answer(status=202, body=data, location=data["links"]["order"])

        return idempotency.answer_once(request, work, key_required=False)
