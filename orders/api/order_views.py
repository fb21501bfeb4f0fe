"""Orders: place, list, read, start, and the history of one.

Every read is PostgreSQL only and every write is one transaction; none of them waits for Temporal.
"""

from __future__ import annotations

from django.db.models import Prefetch, QuerySet
from django.http import HttpResponse
from django_filters.rest_framework import DjangoFilterBackend  # type: ignore[import-untyped]
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api import idempotency
from orders.api.filters import ORDER_PARAMETERS, OrderFilter
from orders.api.idempotency import Answer
from orders.api.incoming import OrderInput, ReasonInput, StartInput
from orders.api.outgoing import CommandOutput, EventOutput, OrderDetail, OrderSummary
from orders.api.pagination import InSequence, NewestFirst
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Order, OrderEvent, OrderLine, ReturnCase
from orders.selectors import disputes
from orders.selectors.returns import with_lines
from orders.services import placing, placing_again


class Orders(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_order",),
        "create": ("orders.place_order",),
        "retrieve": ("orders.view_order",),
        "start": ("orders.start_order",),
        "place_again": ("orders.place_order",),
    }
    hidden_actions = frozenset({"retrieve"})
    not_found_text = "There is no order of that number, or you may not see it."
    queryset = Order.objects.select_related("customer", "payment")
    serializer_class = OrderSummary
    filter_backends = [DjangoFilterBackend]
    filterset_class = OrderFilter
    pagination_class = NewestFirst
    lookup_field = "number"
    query_parameters = {"list": ORDER_PARAMETERS | NewestFirst.parameters}

    @extend_schema(
        summary="Orders, newest first",
        description="A parameter that is not listed here is a 400; filters are never ignored.",
        responses=answers({200: OrderSummary(many=True)}),
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(OrderSummary(page, many=True, context={"request": request}).data)

    @extend_schema(
        summary="Place an order",
        description="Stores the order and, unless `process` is false, asks for its processing in the same transaction.",
        request=OrderInput,
        responses=answers({201: OrderDetail}, body=True),
        parameters=[key_header(required=True), *answer_headers(201)],
    )
    def create(self, request: Request) -> HttpResponse:
        return idempotency.answer_once(request, self._place, key_required=True)

    @extend_schema(
        summary="One order",
        description="Its lines, money, shipments, returns, disputes, and why it failed if it did.",
        responses=answers({200: OrderDetail}, 404),
    )
    def retrieve(self, request: Request, number: str) -> Response:
        return Response(self._detail(self._whole(number)))

    @extend_schema(
        summary="Start the processing of a placed order",
        description="409 when it was started already, with who did it and when.",
        request=StartInput,
        responses=answers({202: CommandOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def start(self, request: Request, number: str) -> HttpResponse:
        return idempotency.answer_once(request, lambda: self._start(number), key_required=False)

    @extend_schema(
        summary="Place an order that failed again",
        description="A new order with the same lines, customer and payment method; start it as every other. Both "
        "histories name the other. 409 when it did not fail, or was placed again already, with who and when.",
        request=ReasonInput,
        responses=answers({201: OrderDetail}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(201)],
    )
    def place_again(self, request: Request, number: str) -> HttpResponse:
        return idempotency.answer_once(request, lambda: self._place_again(number), key_required=False)

    def _place(self) -> Answer:
        body = OrderInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        actor = self.actor()
        order = placing.place(body.new_order(), actor=actor)
        if body.validated_data["process"]:
            placing.start_locked(order, actor=actor, reason="Processing requested when placed")
        detail = self._detail(self._whole(order.number))
        return Answer(status=201, body=detail, location=detail["links"]["self"])

    def _place_again(self, number: str) -> Answer:
        body = ReasonInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            made = placing_again.place_again(number, actor=self.actor(), reason=body.validated_data["reason"])
        except Order.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        detail = self._detail(self._whole(made.number))
        return Answer(status=201, body=detail, location=detail["links"]["self"])

    def _start(self, number: str) -> Answer:
        body = StartInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            command = placing.start(number, actor=self.actor(), reason=body.validated_data["reason"])
        except Order.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        data = CommandOutput(command, context={"request": self.request}).data
        return Answer(status=202, body=data, location=data["links"]["order"])

    def _whole(self, number: str) -> Order:
        lines = OrderLine.objects.select_related("product").order_by("position")
        order = (
            Order.objects.select_related("customer__key", "payment")
            .prefetch_related(
                Prefetch("lines", lines),
                "shipments",
                Prefetch("returns", with_lines(ReturnCase.objects.all())),
            )
            .annotate(**disputes.counts())
            .filter(number=number)
            .first()
        )
        if order is None:
            raise NotFound(self.not_found_text)
        return order

    def _detail(self, order: Order) -> dict:
        return dict(OrderDetail(order, context={"request": self.request}).data)


class OrderHistory(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_order",)}
    hidden_actions = frozenset({"list"})
    not_found_text = Orders.not_found_text
    queryset = OrderEvent.objects.none()
    serializer_class = EventOutput
    filter_backends = []
    pagination_class = InSequence
    query_parameters = {"list": InSequence.parameters}

    @extend_schema(
        summary="The history of one order, oldest first",
        description="Who did what, why and through which door. Each line's hash covers the line before it.",
        responses=answers({200: EventOutput(many=True)}, 404),
    )
    def list(self, request: Request, number: str) -> Response:
        page = self.paginate_queryset(self._events(number))
        return self.get_paginated_response(EventOutput(page, many=True).data)

    def _events(self, number: str) -> QuerySet[OrderEvent]:
        order = Order.objects.filter(number=number).only("id").first()
        if order is None:
            raise NotFound(self.not_found_text)
        return OrderEvent.objects.filter(order=order)
