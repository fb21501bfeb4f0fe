"""What the API says. Money is integer minor units with its currency; the price of one piece is decimal text."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from orders.models import ApiToken, Approval, Command, FeedImport, Order, OrderEvent, OrderLine, Payment, Shipment
from orders.models.rules import choices
from orders.selectors.offers import owed_refund
from orders.services import feeds
from orders.vocabulary import ActorKind, Currency, EventType, FailureType, FeedStatus, OrderStatus


class CustomerOutput(serializers.Serializer):
    reference = serializers.CharField()
    name = serializers.CharField()
    email = serializers.CharField()
    country = serializers.CharField()


class LineOutput(serializers.ModelSerializer):
    sku = serializers.CharField(source="product.sku")

    class Meta:
        model = OrderLine
        fields = ["position", "sku", "description", "quantity", "unit_price", "total_minor"]


class PaymentOutput(serializers.ModelSerializer):
    refunding_minor = serializers.IntegerField(help_text="Refunds that were asked for and have not ended.")
    owed_minor = serializers.SerializerMethodField(help_text="What of it the gateway refused: owed to the customer.")

    class Meta:
        model = Payment
        fields = [
            "status",
            "amount_minor",
            "captured_minor",
            "refunded_minor",
            "refunding_minor",
            "owed_minor",
            "currency",
            "decline_code",
        ]

    def get_owed_minor(self, payment: Payment) -> int:
        owed = owed_refund(payment.order)
        return owed.amount_minor if owed else 0


class ShipmentOutput(serializers.ModelSerializer):
    class Meta:
        model = Shipment
        fields = ["reference", "status", "carrier", "tracking_number", "label_url", "created_at"]


class FailureOutput(serializers.Serializer):
    type = serializers.ChoiceField(choices=choices(FailureType), source="failure_type")
    message = serializers.CharField(source="failure_message")


class OrderSummary(serializers.ModelSerializer):
    """An order in a list."""

    status = serializers.ChoiceField(choices=choices(OrderStatus))
    currency = serializers.ChoiceField(choices=choices(Currency))
    customer = serializers.CharField(
        source="customer.reference",
        default=None,
        allow_null=True,
        help_text="The customer's reference; null for a guest.",
    )
    links = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "number",
            "status",
            "status_since",
            "source",
            "reference",
            "customer",
            "currency",
            "total_minor",
            "line_count",
            "placed_at",
            "created_at",
            "closed_at",
            "links",
        ]

    @extend_schema_field(
        inline_serializer(
            "OrderLinks",
            {
                "self": serializers.URLField(),
                "history": serializers.URLField(),
                "why": serializers.URLField(help_text="What it waits for, and who can act."),
                "page": serializers.URLField(help_text="For people."),
                "start": serializers.URLField(required=False, help_text="Present when you may start the order now."),
            },
        )
    )
    def get_links(self, order: Order) -> dict[str, str]:
        request = self.context["request"]
        at = {"kwargs": {"number": order.number}, "request": request}
        links = {
            "self": reverse("api:order", **at),
            "history": reverse("api:order-history", **at),
            "why": reverse("api:order-why", **at),
            "page": reverse("orders:page", **at),
        }
        if order.status == OrderStatus.PLACED and request.user.has_perm("orders.start_order"):
            links["start"] = reverse("api:order-start", **at)
        return links


class OrderDetail(OrderSummary):
    """An order with all that hangs on it."""

    customer = CustomerOutput(allow_null=True)  # type: ignore[assignment]
    lines = LineOutput(many=True)
    payment = serializers.SerializerMethodField(help_text="null until the charge begins.")
    shipments = ShipmentOutput(many=True)
    failure = serializers.SerializerMethodField(help_text="Why the order ended without shipping; null otherwise.")

    class Meta(OrderSummary.Meta):
        fields = [
            *OrderSummary.Meta.fields[:-1],
            "channel",
            "ship_to_country",
            "lines",
            "payment",
            "shipments",
            "failure",
            "links",
        ]

    @extend_schema_field(PaymentOutput(allow_null=True))
    def get_payment(self, order: Order) -> dict[str, Any] | None:
        # A reverse one-to-one without a row raises; only its attribute check is quiet.
        return PaymentOutput(order.payment).data if hasattr(order, "payment") else None

    @extend_schema_field(FailureOutput(allow_null=True))
    def get_failure(self, order: Order) -> dict[str, Any] | None:
        return FailureOutput(order).data if order.failure_type else None


class EventActor(serializers.Serializer):
    kind = serializers.ChoiceField(choices=choices(ActorKind), source="actor_kind")
    name = serializers.CharField(source="actor")


class EventOutput(serializers.ModelSerializer):
    """One line of an order's history; `hash` covers the line and `previous_hash`."""

    type = serializers.ChoiceField(choices=choices(EventType))
    actor = EventActor(source="*")  # type: ignore[assignment]
    # The name is the event's; mypy thinks of the serializer's own `data`, which DRF's metaclass keeps apart.
    data = serializers.DictField(help_text="What the event says besides; depends on its type.")  # type: ignore[assignment]

    class Meta:
        model = OrderEvent
        fields = [
            "sequence",
            "type",
            "at",
            "actor",
            "channel",
            "reason",
            "step",
            "attempt",
            "status_before",
            "status_after",
            "workflow_id",
            "run_id",
            "data",
            "previous_hash",
            "hash",
        ]


class CommandOutput(serializers.ModelSerializer):
    """What was asked for. The order's history says what became of it."""

    order = serializers.CharField(source="order.number")
    requested_by = serializers.CharField(source="actor")
    links = serializers.SerializerMethodField()

    class Meta:
        model = Command
        fields = ["id", "kind", "status", "order", "requested_by", "channel", "reason", "created_at", "links"]

    @extend_schema_field(
        inline_serializer("CommandLinks", {"order": serializers.URLField(), "history": serializers.URLField()})
    )
    def get_links(self, command: Command) -> dict[str, str]:
        at = {"kwargs": {"number": command.order.number}, "request": self.context["request"]}  # type: ignore[union-attr]
        return {"order": reverse("api:order", **at), "history": reverse("api:order-history", **at)}


class ErasureOutput(serializers.ModelSerializer):
    """The erasure of a customer's personal data; the first one, however often it is asked for."""

    customer = serializers.CharField(source="customer.reference", help_text="What the customer is called from now on.")
    requested_by = serializers.CharField(source="actor")

    class Meta:
        model = Command
        fields = ["id", "status", "customer", "requested_by", "channel", "reason", "outcome", "created_at"]


class FeedOutput(serializers.ModelSerializer):
    """An import: where it stands and what it found."""

    status = serializers.ChoiceField(choices=choices(FeedStatus))
    figures = serializers.SerializerMethodField(help_text="Counted from what is stored so far.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = FeedImport
        fields = [
            "id",
            "name",
            "layout",
            "sha256",
            "size_bytes",
            "status",
            "failure_message",
            "create_products",
            "initial_stock",
            "process",
            "created_at",
            "finished_at",
            "figures",
            "links",
        ]

    @extend_schema_field(serializers.DictField())
    def get_figures(self, feed: FeedImport) -> dict[str, Any]:
        return feeds.figures(feed)

    @extend_schema_field(
        inline_serializer("ImportLinks", {"self": serializers.URLField(), "rejected": serializers.URLField()})
    )
    def get_links(self, feed: FeedImport) -> dict[str, str]:
        at = {"kwargs": {"pk": feed.pk}, "request": self.context["request"]}
        return {"self": reverse("api:import", **at), "rejected": reverse("api:import-rejected", **at)}


class TokenOutput(serializers.ModelSerializer):
    id = serializers.UUIDField(source="public_id")
    expires_at = serializers.DateTimeField(source="expiry", allow_null=True)
    created_at = serializers.DateTimeField(source="created")

    class Meta:
        model = ApiToken
        fields = ["id", "name", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at", "revoked_why"]


class IssuedTokenOutput(TokenOutput):
    token = serializers.CharField(help_text="Shown this once.")

    class Meta(TokenOutput.Meta):
        fields = [*TokenOutput.Meta.fields, "token"]


class ApprovalOutput(serializers.ModelSerializer):
    """A command that one person asked for and another decides."""

    requested_by = serializers.CharField(source="requested_by.username")
    decided_by = serializers.CharField(source="decided_by.username", allow_null=True, default=None)

    class Meta:
        model = Approval
        fields = [
            "id",
            "command",
            "subject",
            "says",
            "reason",
            "status",
            "requested_by",
            "requested_at",
            "expires_at",
            "decided_by",
            "decided_at",
            "decision",
        ]


class FieldErrorOutput(serializers.Serializer):
    field = serializers.CharField(help_text="Dotted path (`lines.0.quantity`), parameter or header.")
    message = serializers.CharField()
    code = serializers.CharField()


class Problem(serializers.Serializer):
    """RFC 9457 problem details."""

    type = serializers.CharField(help_text="`/problems/<slug>`; stable, to be branched on.")
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    instance = serializers.CharField()
    request_id = serializers.CharField(help_text="Say this when you ask us about it.")
    errors = FieldErrorOutput(many=True)  # type: ignore[assignment]


class RootOutput(serializers.Serializer):
    orders = serializers.URLField()
    imports = serializers.URLField()
    tokens = serializers.URLField()
    reviews = serializers.URLField()
    tasks = serializers.URLField()
    playbooks = serializers.URLField()
    schema = serializers.URLField()
    docs = serializers.URLField()
