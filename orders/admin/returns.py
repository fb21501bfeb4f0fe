"""Returns: to find and to read. What is done about one is done on its order's page, beside what else is open there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, Sum
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.admin.filters import DayRangeFilter
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import money, number
from orders.models import ReturnCase, ReturnLine
from orders.selectors.returns import TONES
from orders.vocabulary import ReturnStatus
from orders.wording import status_word


class ReturnLines(TabularInline):
    model = ReturnLine
    fields = ("sku", "announced", "received", "restocked", "unsellable_reason", "refund_minor")
    readonly_fields = ("sku",)
    extra = 0
    per_page = 50
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("orders.view_returncase")  # type: ignore[union-attr]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReturnLine]:
        return super().get_queryset(request).select_related("order_line__product")  # type: ignore[no-any-return]

    @admin.display(description="SKU")
    def sku(self, line: ReturnLine) -> str:
        return line.order_line.product.sku


@admin.register(ReturnCase)
class ReturnCaseAdmin(ReadOnlyAdmin):
    list_display = ("id", "order_", "status_", "announced", "received", "due", "actor", "created_at", "received_by")
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter), ("created_at", DayRangeFilter))
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-created_at",)
    sortable_by = ()
    inlines = (ReturnLines,)
    fields = (
        "order_",
        "status_",
        "reason",
        "actor",
        "channel",
        "created_at",
        "received_by",
        "received_at",
        "ended_by",
        "ended_at",
        "note",
    )
    readonly_fields = ("order_", "status_")

    def get_queryset(self, request: HttpRequest) -> QuerySet[ReturnCase]:
        sums = {
            name: Sum(f"lines__{field}") for name, field in (("n_announced", "announced"), ("n_received", "received"))
        }
        return super().get_queryset(request).annotate(**sums, n_due=Sum("lines__refund_minor"))  # type: ignore[no-any-return]

    @admin.display(description="Order")
    def order_(self, case: ReturnCase) -> SafeString | str:
        return order_link(case.order)

    @admin.display(description="Status")
    def status_(self, case: ReturnCase) -> SafeString:
        return badge(TONES[ReturnStatus(case.status)], status_word(case.status))

    @admin.display(description="Announced")
    def announced(self, case: Any) -> str:
        return number(case.n_announced or 0)

    @admin.display(description="Received")
    def received(self, case: Any) -> str:
        return number(case.n_received or 0) if case.received_at else "-"

    @admin.display(description="Due")
    def due(self, case: Any) -> str:
        return money(case.n_due or 0, case.order.currency) if case.received_at else "-"
