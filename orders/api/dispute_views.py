"""Disputes of payments, for programs; what is done about one is a task of a lead."""

from __future__ import annotations

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.disputes_outgoing import DisputeOutput
from orders.api.pagination import ByMoment
from orders.api.permissions import PerAction
from orders.api.problems import refuse_field
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import Dispute
from orders.selectors import disputes
from orders.vocabulary import DisputeStatus


class NewestDispute(ByMoment):
    ordering = ("-opened_at", "-id")


class Disputes(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"list": ("orders.view_dispute",)}
    queryset = Dispute.objects.none()
    serializer_class = DisputeOutput
    filter_backends = []
    pagination_class = NewestDispute
    query_parameters = {"list": NewestDispute.parameters | {"status"}}

    @extend_schema(
        summary="Disputes, newest first",
        description="Payments that the bank of a customer questions.",
        responses=answers({200: DisputeOutput(many=True)}),
        parameters=[OpenApiParameter("status", str, enum=[word.value for word in DisputeStatus])],
    )
    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self._wanted(request.query_params.get("status")))
        return self.get_paginated_response(DisputeOutput(page, many=True).data)

    def _wanted(self, status: str | None) -> QuerySet[Dispute]:
        if status is None:
            return disputes.newest()
        if status not in set(DisputeStatus):
            raise refuse_field("status", f"It must be one of {', '.join(DisputeStatus)}.")
        return disputes.newest().filter(status=status)
