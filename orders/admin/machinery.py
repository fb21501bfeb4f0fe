"""What the machinery wrote down: history, commands, outbox, health. For reading, when something looks wrong."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.contrib.admin import ModelAdmin as PlainModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from orders import clock, outbox
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, ago, badge
from orders.models import Command, OrderEvent, OutboxMessage, ServiceBeat
from orders.selectors import health
from orders.vocabulary import EventType
from orders.wording import EVENT_TONES, Tone, event_title


@admin.register(OrderEvent)
class OrderEventAdmin(ReadOnlyAdmin):
    list_display = ("at", "order_", "what", "actor", "channel", "reason", "attempt")
    list_select_related = ("order",)
    list_filter = (("type", ChoicesDropdownFilter), ("channel", ChoicesDropdownFilter))
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, event: OrderEvent) -> SafeString | str:
        return order_link(event.order)

    @admin.display(description="What")
    def what(self, event: OrderEvent) -> SafeString:
        kind = EventType(event.type)
        return badge(EVENT_TONES.get(kind, Tone.NEUTRAL), event_title(kind, event.data))


@admin.register(Command)
class CommandAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "kind", "order_", "actor", "channel", "reason", "status", "outcome")
    list_select_related = ("order",)
    list_filter = (("kind", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    search_fields = ("order__number__exact", "actor__exact")
    search_help_text = "Order number or who asked"
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, command: Command) -> SafeString | str:
        return order_link(command.order)


class DeliveredFilter(DropdownFilter):
    title = "handed over"
    parameter_name = "delivered"

    def lookups(self, request: HttpRequest, model_admin: PlainModelAdmin) -> list[tuple[str, str]]:
        return [
            ("no", "Waiting"),
            ("failing", "Waiting after a failure"),
            ("yes", "Handed over"),
            ("never", "Given up"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
        if self.value() == "yes":
            return queryset.filter(delivered_at__isnull=False)
        if self.value() == "never":
            return queryset.filter(parked_at__isnull=False)
        if self.value() in ("no", "failing"):
            queryset = queryset.filter(outbox.PENDING)
        return queryset.exclude(last_error="") if self.value() == "failing" else queryset


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("due_at", "topic", "aggregate", "state", "attempts", "last_error", "delivered_at")
    list_filter = (DeliveredFilter, ("topic", ChoicesDropdownFilter))
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, message: OutboxMessage) -> SafeString:
        if message.delivered_at:
            return badge(Tone.DONE, "Handed over")
        if message.parked_at:
            return badge(Tone.TROUBLE, "Given up")
        return badge(Tone.TROUBLE, "Failing") if message.last_error else badge(Tone.MOVING, "Waiting")


@admin.register(ServiceBeat)
class ServiceBeatAdmin(ReadOnlyAdmin):
    list_display = ("identity", "state", "seen", "own_clock", "temporal_ok_at", "detail", "stopped")
    ordering = ("-at",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, beat: ServiceBeat) -> SafeString:
        if health.is_silent(beat, clock.now()):
            return badge(Tone.TROUBLE, "Silent")
        return badge(Tone.TROUBLE, "Stopped") if beat.stopped else badge(Tone.DONE, "Running")

    @admin.display(description="Last seen")
    def seen(self, beat: ServiceBeat) -> SafeString:
        return ago(beat.at, clock.now())

    @admin.display(description="Its own clock")
    def own_clock(self, beat: ServiceBeat) -> SafeString | str:
        if beat.clock_ahead_seconds is None:
            return "-"
        ahead = timedelta(seconds=beat.clock_ahead_seconds)
        return badge(Tone.TROUBLE, health.difference(ahead)) if abs(ahead) > health.CLOCK_OFF else "Right"
