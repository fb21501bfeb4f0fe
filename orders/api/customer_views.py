"""Customers: erasing the personal data of one. What is known of a customer is read with their orders."""

from __future__ import annotations

from django.http import HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.idempotency import Answer
from orders.api.incoming import ErasureInput
from orders.api.outgoing import ErasureOutput
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Customer
from orders.services import erasing


class Customers(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"erase": ("orders.erase_customer",)}
    not_found_text = "There is no customer of that reference."
    queryset = Customer.objects.none()
    serializer_class = ErasureOutput
    filter_backends = []
    pagination_class = None
    lookup_field = "reference"

    @extend_schema(
        summary="Erase the personal data of a customer, for ever",
        description="Orders, history and books stay. 409 while the customer has open orders; the answer names them. "
        "Every text and file is searched, each time that it is asked for; `report` says where, and what was found.",
        request=ErasureInput,
        responses=answers({200: ErasureOutput}, 404, body=True),
        parameters=[key_header(required=True), *answer_headers(200)],
    )
    def erase(self, request: object, reference: str) -> HttpResponse:
        return idempotency.answer_once(self.request, lambda: self._erase(reference), key_required=True)

    def _erase(self, reference: str) -> Answer:
        body = ErasureInput(data=self.request.data)
        body.is_valid(raise_exception=True)
        try:
            done = erasing.erase_customer(reference, actor=self.actor(), **body.validated_data)
        except Customer.DoesNotExist as error:
            raise NotFound(self.not_found_text) from error
        data = ErasureOutput(done.command).data
        location = reverse("api:orders", request=self.request) + f"?customer={data['customer']}"
        return Answer(status=200, body=data, location=location)
