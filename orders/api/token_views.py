"""API tokens of the caller: issue, list, revoke.

Issuing takes no Idempotency-Key: a saved answer would keep the secret in the database.
"""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders.api.accounts_outgoing import IssuedTokenOutput, TokenOutput
from orders.api.incoming import RevokeInput, TokenInput
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import ApiToken
from orders.services import tokens


class Tokens(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.issue_token",),
        "create": ("orders.issue_token",),
        "revoke": ("orders.revoke_token",),
    }
    queryset = ApiToken.objects.none()
    serializer_class = TokenOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="Your API tokens that work",
        description="Newest first, at most a hundred; the page of tokens in the admin has all.",
        responses=answers({200: TokenOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        return Response(TokenOutput(tokens.live(self.actor())[:100], many=True).data)

    @extend_schema(
        summary="Issue an API token",
        description="The answer shows the token, once; only a digest is stored. Its scopes narrow what you may do.",
        request=TokenInput,
        responses=answers({201: IssuedTokenOutput}, body=True),
    )
    def create(self, request: Request) -> Response:
        body = TokenInput(data=request.data)
        body.is_valid(raise_exception=True)
        token, secret = tokens.issue(actor=self.actor(), **body.validated_data)
        data = {**TokenOutput(token).data, "token": secret}
        return Response(data, status=201, headers={"Cache-Control": "no-store"})

    @extend_schema(
        summary="Revoke an API token",
        description="It stops working with this answer. Revoking it again changes nothing.",
        request=RevokeInput,
        responses=answers({200: TokenOutput}, 404, body=True),
    )
    def revoke(self, request: Request, token_id: UUID) -> Response:
        body = RevokeInput(data=request.data)
        body.is_valid(raise_exception=True)
        try:
            token = tokens.revoke(token_id, actor=self.actor(), reason=body.validated_data["reason"])
        except ApiToken.DoesNotExist as error:
            raise NotFound("There is no token of that id.") from error
        return Response(TokenOutput(token).data)
