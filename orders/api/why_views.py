"""Why an order waits: the sentence of its page, as data."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders import gateway
from orders.access import Role
from orders.api.order_views import Orders
from orders.api.permissions import PerAction
from orders.api.schema import answers
from orders.api.views import StrictViewSet
from orders.models import Order
from orders.models.rules import choices
from orders.selectors.why import Act, Why, why
from orders.vocabulary import OrderStatus, StepName


class AttemptOutput(serializers.Serializer):
    """The step that is under way, as the database knows it."""

    step = serializers.ChoiceField(choices=choices(StepName))
    doing = serializers.CharField(help_text="What the step does, in words.")
    number = serializers.IntegerField()
    limit = serializers.IntegerField(allow_null=True, help_text="null: tried again without limit.")
    started_at = serializers.DateTimeField()
    failed = serializers.BooleanField(help_text="This attempt failed and the next one has not begun.")
    last_error = serializers.CharField(help_text="Why an attempt failed; empty when none did.")
    last_error_at = serializers.DateTimeField(allow_null=True)


class ActOutput(serializers.Serializer):
    """Something that can be done about the order now."""

    command = serializers.CharField()
    title = serializers.CharField()
    permission = serializers.CharField()
    roles = serializers.ListField(child=serializers.ChoiceField(choices=choices(Role)), help_text="Who may.")
    yours = serializers.BooleanField(help_text="Whether you may.")
    link = serializers.SerializerMethodField(help_text="POST there, with a reason.")

    @extend_schema_field(serializers.URLField())
    def get_link(self, act: Act) -> str:
        if act.return_id:
            return reverse(f"api:{act.command}", kwargs={"pk": act.return_id}, request=self.context["request"])
        # Refunds and returns are things that are made; the other commands are calls under the order or its review.
        made = {"refund": "order-refunds", "return-announce": "order-returns"}
        name = made.get(act.command, f"order-{act.command}")
        if act.command.startswith("review-"):
            name = act.command
        return reverse(f"api:{name}", kwargs={"number": self.context["number"]}, request=self.context["request"])


class LiveOutput(serializers.Serializer):
    """The step as Temporal has it, at this moment."""

    step = serializers.ChoiceField(choices=choices(StepName))
    state = serializers.ChoiceField(choices=choices(gateway.LiveState))
    attempt = serializers.IntegerField(help_text='As Temporal counts; begins anew at 1 after "retry now".')
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="null while an attempt runs, waits for a worker, or is paused."
    )
    gives_up_at = serializers.DateTimeField(
        allow_null=True, help_text="Then the outcome counts as unknown and everything is undone; null: never."
    )
    worker = serializers.CharField(help_text="The process that made the newest attempt.")
    last_failure = serializers.CharField(help_text="The type of the newest failure.")


class WhyOutput(serializers.Serializer):
    order = serializers.CharField(source="order.number")
    status = serializers.ChoiceField(choices=choices(OrderStatus), source="order.status")
    since = serializers.DateTimeField(source="order.status_since")
    headline = serializers.CharField(source="standing.headline")
    why = serializers.CharField(source="standing.why", help_text="Why it waits or how it came to this; may be empty.")
    coming = serializers.CharField(source="standing.coming", help_text="What happens next by itself; may be empty.")
    you_can = serializers.CharField(source="standing.you_can", help_text="What you can do; may be empty.")
    attempt = AttemptOutput(allow_null=True, help_text="null when no step is under way.")
    deadline_at = serializers.DateTimeField(
        allow_null=True, help_text="Until when a person must decide; null when nobody must."
    )
    can_act = ActOutput(many=True, source="acts")
    live = serializers.SerializerMethodField(help_text="From Temporal, asked for a second at most; else null.")
    live_missing = serializers.SerializerMethodField(help_text="Why `live` is null; empty when Temporal answered.")

    @extend_schema_field(LiveOutput(allow_null=True))
    def get_live(self, found: Why) -> dict[str, Any] | None:
        step = self.context["answer"].step
        return LiveOutput(step).data if step else None

    def get_live_missing(self, found: Why) -> str:
        answer: gateway.Answer = self.context["answer"]
        return answer.silence or ("" if answer.step else "Temporal has no step of it pending.")


class WhyOrders(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {"retrieve": ("orders.view_order",)}
    hidden_actions = frozenset({"retrieve"})
    not_found_text = Orders.not_found_text
    queryset = Order.objects.none()
    serializer_class = WhyOutput
    filter_backends = []
    lookup_field = "number"

    @extend_schema(
        operation_id="orders_why_retrieve",
        summary="Why an order waits",
        description="What its page says first: what happens, since when, why, what comes next, and who can act.",
        responses=answers({200: WhyOutput}, 404),
    )
    def retrieve(self, request: Request, number: str) -> Response:
        found = why(number, may=self.actor().may)
        if found is None:
            raise NotFound(self.not_found_text)
        context = {"request": request, "number": number, "answer": gateway.ask(found.order)}
        return Response(WhyOutput(found, context=context).data)
