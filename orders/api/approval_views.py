"""What waits for a second person: list it, approve it, decline it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from orders.access import COMMANDS
from orders.api.accounts_outgoing import ApprovalOutput
from orders.api.incoming import ApproveInput, DeclineInput
from orders.api.permissions import PerAction
from orders.api.problems import refuse_field
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import Approval
from orders.selectors import approvals
from orders.services import deciding
from orders.vocabulary import ApprovalStatus

#: whoever may ask for such a command sees what became of it
SEEN_BY = ("orders.view_approval", *dict.fromkeys(rule.permission for rule in COMMANDS if rule.four_eyes))


class Approvals(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": SEEN_BY,
        "retrieve": SEEN_BY,
        "approve": ("orders.decide_approval",),
        "decline": ("orders.decide_approval",),
    }
    queryset = Approval.objects.none()
    serializer_class = ApprovalOutput
    filter_backends = []
    pagination_class = None
    query_parameters = {"list": frozenset({"asked_by_me"})}

    @extend_schema(
        summary="Commands that wait for a second person",
        description="Your own, and with `orders.view_approval` those that you could give yourself; oldest first, at "
        "most a hundred. `asked_by_me=true` lists what you asked for, decided or not, the newest first.",
        parameters=[OpenApiParameter("asked_by_me", bool)],
        responses=answers({200: ApprovalOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        wanted = request.query_params.get("asked_by_me", "false")
        if wanted not in {"true", "false"}:
            raise refuse_field("asked_by_me", "Write true or false.")
        if wanted == "true":
            return Response(ApprovalOutput(approvals.of_asker(self.actor())[:100], many=True).data)
        waiting = approvals.visible_to(self.actor()).filter(status=ApprovalStatus.WAITING).order_by("requested_at")
        return Response(ApprovalOutput(waiting[:100], many=True).data)

    @extend_schema(
        summary="One command that waits or waited for a second person",
        description="With who decided, when and why.",
        responses=answers({200: ApprovalOutput}, 404),
    )
    def retrieve(self, request: Request, pk: UUID) -> Response:
        approval = approvals.visible_to(self.actor()).filter(pk=pk).first()
        if approval is None:
            raise NotFound(self.not_found_text)
        return Response(ApprovalOutput(approval).data)

    @extend_schema(
        summary="Approve a command and do it",
        description="Not your own. 409 when it was decided already (by whom and when), has expired or cannot be done.",
        request=ApproveInput,
        responses=answers({200: ApprovalOutput}, 404, body=True),
    )
    def approve(self, request: Request, pk: UUID) -> Response:
        body = ApproveInput(data=request.data)
        body.is_valid(raise_exception=True)
        return self._decide(deciding.approve, pk, body.validated_data["reason"])

    @extend_schema(
        summary="Decline a command for good",
        description="Not your own. 409 when it was decided already, with who did it and when.",
        request=DeclineInput,
        responses=answers({200: ApprovalOutput}, 404, body=True),
    )
    def decline(self, request: Request, pk: UUID) -> Response:
        body = DeclineInput(data=request.data)
        body.is_valid(raise_exception=True)
        return self._decide(deciding.decline, pk, body.validated_data["reason"])

    def _decide(self, decide: Callable[..., Approval], pk: UUID, reason: str) -> Response:
        # Looked for among what the caller may see first: a stranger learns nothing, not even that it exists.
        if not approvals.visible_to(self.actor()).filter(pk=pk).exists():
            raise NotFound(self.not_found_text)
        return Response(ApprovalOutput(decide(pk, actor=self.actor(), reason=reason)).data)
