"""Payments, the ledger and credit notes: to read and to find, never to change by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin import ModelAdmin as PlainModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from orders.admin.filters import DayRangeFilter, YesNoFilter
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import money
from orders.models import CreditNote, CreditNoteLine, LedgerTransfer, Order, Payment, Refund
from orders.vocabulary import PaymentStatus, RefundStatus
from orders.wording import Tone, status_word

PAYMENT_TONES = {
    PaymentStatus.PENDING: Tone.MOVING,
    PaymentStatus.CAPTURED: Tone.DONE,
    PaymentStatus.DECLINED: Tone.TROUBLE,
    PaymentStatus.VOIDED: Tone.NEUTRAL,
    PaymentStatus.REFUNDED: Tone.NEUTRAL,
}


REFUND_TONES = {
    RefundStatus.REQUESTED: Tone.MOVING,
    RefundStatus.SENT: Tone.MOVING,
    RefundStatus.PENDING: Tone.WAITING,
    RefundStatus.REFUSED: Tone.TROUBLE,
    RefundStatus.DONE: Tone.DONE,
    RefundStatus.SETTLED: Tone.DONE,
    RefundStatus.DROPPED: Tone.NEUTRAL,
}


def order_link(order: Order | None) -> SafeString | str:
    if order is None:
        return "-"
    return format_html('<a href="{}">{}</a>', reverse("orders:page", args=[order.number]), order.number)


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = ("order_", "status_", "amount", "captured", "refunded", "gateway_reference", "decline_code")
    list_display_links = None
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, payment: Payment) -> SafeString | str:
        return order_link(payment.order)

    @admin.display(description="Status")
    def status_(self, payment: Payment) -> SafeString:
        return badge(PAYMENT_TONES[PaymentStatus(payment.status)], status_word(payment.status))

    @admin.display(description="Amount")
    def amount(self, payment: Payment) -> str:
        return money(payment.amount_minor, payment.currency)

    @admin.display(description="Taken")
    def captured(self, payment: Payment) -> str:
        return money(payment.captured_minor, payment.currency)

    @admin.display(description="Refunded")
    def refunded(self, payment: Payment) -> str:
        return money(payment.refunded_minor, payment.currency)


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = (
        "order_",
        "status_",
        "amount",
        "reason",
        "actor",
        "created_at",
        "gateway_reference",
        "outside",
        "note",
    )
    list_display_links = None
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("outside", YesNoFilter))
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, refund: Refund) -> SafeString | str:
        return order_link(refund.order)

    @admin.display(description="Status")
    def status_(self, refund: Refund) -> SafeString:
        return badge(REFUND_TONES[RefundStatus(refund.status)], status_word(refund.status))

    @admin.display(description="Amount")
    def amount(self, refund: Refund) -> str:
        return money(refund.amount_minor, refund.currency)


@admin.register(LedgerTransfer)
class LedgerTransferAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "order_", "credit_account", "debit_account", "amount", "key")
    list_display_links = None
    list_select_related = ("order",)
    list_filter = (("debit_account", ChoicesDropdownFilter), ("credit_account", ChoicesDropdownFilter))
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, transfer: LedgerTransfer) -> SafeString | str:
        return order_link(transfer.order)

    @admin.display(description="Amount")
    def amount(self, transfer: LedgerTransfer) -> str:
        return money(transfer.amount_minor, transfer.currency)


class MatchedFilter(DropdownFilter):
    title = "order"
    parameter_name = "matched"

    def lookups(self, request: HttpRequest, model_admin: PlainModelAdmin) -> list[tuple[str, str]]:
        return [("yes", "Matched to an order"), ("no", "Without an order")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[CreditNote]) -> QuerySet[CreditNote]:
        if self.value() in ("yes", "no"):
            return queryset.filter(order__isnull=self.value() == "no")
        return queryset


class CreditNoteLines(TabularInline):
    model = CreditNoteLine
    fields = ("position", "sku", "description", "quantity", "unit_price", "total_minor")
    extra = 0
    per_page = 50
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("orders.view_creditnote")  # type: ignore[union-attr]


@admin.register(CreditNote)
class CreditNoteAdmin(ReadOnlyAdmin):
    list_display = ("number", "matched", "customer", "total", "source", "issued_at")
    list_select_related = ("order", "customer__key")
    list_filter = (MatchedFilter, ("issued_at", DayRangeFilter))
    list_links = ("order__id__exact",)
    search_fields = ("number__exact", "customer__reference__startswith", "order__number__exact")
    search_help_text = "Number, order or customer"
    sortable_by = ()
    inlines = (CreditNoteLines,)
    fields = ("number", "source", "customer", "order_", "total", "issued_at", "created_at")
    readonly_fields = ("order_", "total")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "order__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description="Order")
    def matched(self, note: CreditNote) -> SafeString:
        return badge(Tone.DONE, note.order.number) if note.order else badge(Tone.WAITING, "None")

    @admin.display(description="Order")
    def order_(self, note: CreditNote) -> SafeString | str:
        return order_link(note.order)

    @admin.display(description="Total")
    def total(self, note: CreditNote) -> str:
        return money(note.total_minor, note.currency)
