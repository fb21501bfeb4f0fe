"""What the API says. Money is integer minor units with its currency; the price of one piece is decimal text."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from orders.actor import person
from orders.api.accounts_outgoing import WaitingOutput
from orders.api.disputes_outgoing import DisputeOutput
from orders.api.returns_outgoing import ReturnOutput
from orders.models import (
    Command,
    FeedImport,
    Order,
    OrderEvent,
    OrderLine,
    Payment,
    Shipment,
)
from orders.models.rules import choices
from orders.selectors import approvals
from orders.selectors.disputes import of_order
from orders.selectors.offers import open_refunds
from orders.selectors.undoing import is_cancelled, is_undone, undo_of
from orders.services import feeds
from orders.vocabulary import (
    ActorKind,
    Channel,
    Currency,
    EventType,
    FailureType,
    FeedStatus,
    OrderStatus,
    RefundStatus,
    StepName,
)
from orders.wording import order_word


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
    owed_minor = serializers.SerializerMethodField(
        help_text="What of it the gateway refused, at once or later: owed to the customer."
    )
    disputed_minor = serializers.IntegerField(help_text="What the customer's bank has taken back in disputes.")

    class Meta:
        model = Payment
        fields = [
            "status",
            "amount_minor",
            "captured_minor",
            "refunded_minor",
            "refunding_minor",
            "owed_minor",
            "disputed_minor",
            "currency",
            "decline_code",
            "gateway_status",
            "waits_for",
            "waiting_since",
            "wait_until",
            "action_url",
        ]
        extra_kwargs = {
            "disputed_minor": {"help_text": "Taken back by the customer's bank, in minor units."},
            "gateway_status": {"help_text": "The gateway's own word for the payment when it was last asked."},
            "waits_for": {"help_text": "customer, bank or person; empty while nobody has to act."},
            "wait_until": {"help_text": "When the wait ends: the payment is cancelled, or a lead gets a task."},
            "action_url": {"help_text": "Where the customer confirms the payment, if the bank asks for it."},
        }

    def get_owed_minor(self, payment: Payment) -> int:
        return sum(refund.amount_minor for refund in open_refunds(payment.order, RefundStatus.REFUSED))


class ShipmentOutput(serializers.ModelSerializer):
    class Meta:
        model = Shipment
        fields = ["reference", "status", "carrier", "tracking_number", "label_url", "created_at"]


class FailureOutput(serializers.Serializer):
    type = serializers.ChoiceField(choices=choices(FailureType), source="failure_type")
    message = serializers.CharField(source="failure_message")


class UndoLineOutput(serializers.Serializer):
    step = serializers.ChoiceField(choices=choices(StepName), help_text="The step of the undo that does it.")
    says = serializers.CharField()
    done = serializers.BooleanField()


class UndoOutput(serializers.Serializer):
    lines = UndoLineOutput(many=True, help_text="In the order in which they are undone.")
    stays = serializers.ListField(child=serializers.CharField(), help_text="What cannot be undone, or not be said yet.")


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
    status_words = serializers.SerializerMethodField(
        help_text="For people; says of an undone order when its refund is outstanding."
    )
    refund_outstanding_minor = serializers.IntegerField(
        help_text="What the customer of a cancelled or failed order has not got back."
    )
    links = serializers.SerializerMethodField()

    class Meta:
        model = Order
        fields = [
            "number",
            "status",
            "status_words",
            "refund_outstanding_minor",
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

    def get_status_words(self, order: Order) -> str:
        return order_word(order.status, refund_outstanding=bool(order.refund_outstanding_minor))

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
    returns = ReturnOutput(many=True)
    disputes = serializers.SerializerMethodField(help_text="The newest first.")
    failure = serializers.SerializerMethodField(help_text="Why the order ended without shipping; null otherwise.")
    waits_for_second_person = serializers.SerializerMethodField(
        help_text="What somebody asked for and a second person must approve or decline; empty while nothing waits."
    )
    undo = serializers.SerializerMethodField(
        help_text="What is undone, line by line, once the order is being cancelled or undone; null otherwise."
    )

    class Meta(OrderSummary.Meta):
        fields = [
            *OrderSummary.Meta.fields[:-1],
            "channel",
            "ship_to_country",
            "lines",
            "payment",
            "shipments",
            "returns",
            "disputes",
            "failure",
            "undo",
            "waits_for_second_person",
            "links",
        ]

    @extend_schema_field(PaymentOutput(allow_null=True))
    def get_payment(self, order: Order) -> dict[str, Any] | None:
        # A reverse one-to-one without a row raises; only its attribute check is quiet.
        return PaymentOutput(order.payment).data if hasattr(order, "payment") else None

    @extend_schema_field(DisputeOutput(many=True))
    def get_disputes(self, order: Order) -> list[dict[str, Any]]:
        return list(DisputeOutput(of_order(order), many=True).data)

    @extend_schema_field(WaitingOutput(many=True))
    def get_waits_for_second_person(self, order: Order) -> list[dict[str, Any]]:
        reader = person(self.context["request"].user, Channel.API)
        return list(WaitingOutput(approvals.waiting_on(order, reader=reader), many=True).data)

    @extend_schema_field(UndoOutput(allow_null=True))
    def get_undo(self, order: Order) -> dict[str, Any] | None:
        return UndoOutput(undo_of(order)).data if is_undone(order) or is_cancelled(order) else None

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
    until = serializers.DateTimeField(allow_null=True, help_text="When a hold or a pause ends by itself.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = Command
        fields = ["id", "kind", "status", "order", "requested_by", "channel", "reason", "until", "created_at", "links"]

    @extend_schema_field(
        inline_serializer("CommandLinks", {"order": serializers.URLField(), "history": serializers.URLField()})
    )
    def get_links(self, command: Command) -> dict[str, str]:
        at = {"kwargs": {"number": command.order.number}, "request": self.context["request"]}  # type: ignore[union-attr]
        return {"order": reverse("api:order", **at), "history": reverse("api:order-history", **at)}


class ErasedPlaceOutput(serializers.Serializer):
    where = serializers.CharField(help_text="A table, or a kind of file.")
    found = serializers.IntegerField(help_text="Rows or files that named the person.")
    stays = serializers.BooleanField(help_text="Nobody can change these rows; they are as they were.")
    looked_at = serializers.IntegerField(required=False, help_text="Files that were read.")


class ErasureOutput(serializers.ModelSerializer):
    """The erasure of a customer's personal data, and where was looked for it."""

    customer = serializers.SerializerMethodField(help_text="What the customer is called from now on.")
    requested_by = serializers.CharField(source="actor")
    report = ErasedPlaceOutput(many=True, source="details.report")

    class Meta:
        model = Command
        fields = ["id", "status", "customer", "requested_by", "channel", "reason", "outcome", "report", "created_at"]

    def get_customer(self, command: Command) -> str:
        return command.customer.reference if command.customer is not None else command.subject


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
            "format",
            "dry_run",
            "follows",
            "rows_expected",
            "rows_read",
            "created_at",
            "finished_at",
            "file_until",
            "file_gone_at",
            "figures",
            "links",
        ]

    @extend_schema_field(serializers.DictField())
    def get_figures(self, feed: FeedImport) -> dict[str, Any]:
        return feeds.figures(feed)

    @extend_schema_field(
        inline_serializer(
            "ImportLinks",
            {
                "self": serializers.URLField(),
                "rejected": serializers.URLField(),
                "report": serializers.URLField(),
                "invoices": serializers.URLField(),
            },
        )
    )
    def get_links(self, feed: FeedImport) -> dict[str, str]:
        at = {"kwargs": {"pk": feed.pk}, "request": self.context["request"]}
        parts = {name: reverse(f"api:import-{name}", **at) for name in ("rejected", "report", "invoices")}
        return {"self": reverse("api:import", **at), **parts}


class RootOutput(serializers.Serializer):
    orders = serializers.URLField()
    batches = serializers.URLField()
    imports = serializers.URLField()
    exports = serializers.URLField()
    tokens = serializers.URLField()
    reviews = serializers.URLField()
    tasks = serializers.URLField()
    playbooks = serializers.URLField()
    schema = serializers.URLField()
    docs = serializers.URLField()
