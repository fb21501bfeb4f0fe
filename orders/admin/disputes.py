"""Disputes, and the events by which the gateway tells of them: to find and to read.

What is done about a dispute is a lead's task; the evidence is sent in the gateway's own pages.
"""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from orders.admin.filters import DayRangeFilter
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import money
from orders.models import Dispute, GatewayEvent
from orders.selectors.disputes import TONES, WORDS
from orders.vocabulary import DisputeStatus
from orders.wording import Tone


@admin.register(Dispute)
class DisputeAdmin(ReadOnlyAdmin):
    list_display = ("gateway_reference", "order_", "status_", "amount", "reason", "opened_at", "evidence_due_at")
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("opened_at", DayRangeFilter))
    search_fields = ("order__number__exact", "gateway_reference__exact")
    search_help_text = "Order number, or the gateway's id of the dispute"
    ordering = ("-opened_at",)
    sortable_by = ()
    fields = (
        "order_",
        "status_",
        "amount",
        "withdrawn",
        "reason",
        "gateway_reference",
        "gateway_status",
        "opened_at",
        "evidence_due_at",
        "closed_at",
    )
    readonly_fields = ("order_", "status_", "amount", "withdrawn")

    @admin.display(description="Order")
    def order_(self, dispute: Dispute) -> SafeString | str:
        return order_link(dispute.order)

    @admin.display(description="Status")
    def status_(self, dispute: Dispute) -> SafeString:
        status = DisputeStatus(dispute.status)
        return badge(TONES[status], WORDS[status])

    @admin.display(description="Amount")
    def amount(self, dispute: Dispute) -> str:
        return money(dispute.amount_minor, dispute.currency)

    @admin.display(description="With the bank")
    def withdrawn(self, dispute: Dispute) -> str:
        return money(dispute.withdrawn_minor, dispute.currency)


class HandledFilter(DropdownFilter):
    title = "standing"
    parameter_name = "handled"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("no", "To be carried out"), ("yes", "Carried out")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[GatewayEvent]) -> QuerySet[GatewayEvent]:
        if self.value() in ("yes", "no"):
            return queryset.filter(handled_at__isnull=self.value() == "no")
        return queryset


@admin.register(GatewayEvent)
class GatewayEventAdmin(ReadOnlyAdmin):
    list_display = (
        "received_at",
        "type",
        "payment_reference",
        "object_reference",
        "source",
        "standing",
        "outcome",
    )
    list_display_links = None
    list_filter = (HandledFilter, ("source", ChoicesDropdownFilter), ("received_at", DayRangeFilter))
    search_fields = ("payment_reference__exact", "object_reference__exact", "pk__exact")
    search_help_text = "The gateway's id of the event, the payment, the refund or the dispute"
    ordering = ("-received_at", "-id")
    sortable_by = ()

    @admin.display(description="Standing")
    def standing(self, event: GatewayEvent) -> SafeString:
        return badge(Tone.DONE, "Carried out") if event.handled_at else badge(Tone.MOVING, "To be carried out")
