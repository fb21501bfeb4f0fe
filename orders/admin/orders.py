"""The order list and its actions. An order's page is `orders.views.order_page`, never a change form."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from orders import clock
from orders.actor import person
from orders.admin.dialogs import RowDialog
from orders.admin.filters import AttentionFilter, BuyerFilter, DayRangeFilter, IncidentFilter, TotalFilter
from orders.admin.reading import QuietChangeList, ReadOnlyAdmin, ago, badge
from orders.amounts import money, number
from orders.errors import WrongState
from orders.models import Customer, Order
from orders.selectors import approvals
from orders.services import placing
from orders.vocabulary import Channel
from orders.wording import Tone, order_tone, order_word

#: one click starts at most this many; each is a transaction of its own and the click waits for all of them
MAX_TICKED = 500
REASONS_SHOWN = 5
CUSTOMERS_SEARCHED = 50


class OrderChangeList(QuietChangeList):
    def url_for_result(self, result: Model) -> str:
        return reverse("orders:page", args=[result.number])  # type: ignore[attr-defined]


class StartDialog(RowDialog[Order]):
    model = Order
    reason = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)

    def about(self, row: Order) -> str:
        return f"Order {row.number}, {money(row.total_minor, row.currency)}"

    def amount(self, row: Order) -> str:
        return f"takes {money(row.total_minor, row.currency)}"


def _ask_about(request: HttpRequest, queryset: QuerySet[Order], address: str) -> HttpResponse:
    """To the page that asks, with the ticked orders, or with the list's filter when all that match it are chosen."""
    if request.POST.get("select_across") == "1":
        asked = {"filter": request.GET.urlencode()}
    else:
        asked = {"ids": ",".join(map(str, queryset.order_by().values_list("pk", flat=True)[:MAX_TICKED]))}
    return redirect(f"{reverse(address)}?{urlencode(asked)}")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = (
        "number_",
        "status_",
        "since",
        "customer_",
        "reference",
        "total_",
        "line_count_",
        "received",
        "placed",
    )
    list_display_links = ("number_",)
    list_select_related = ("customer__key", "payment")
    #: other columns have no index: sorting a million orders by one takes 82 ms for each page
    sortable_by = ("received",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        AttentionFilter,
        IncidentFilter,
        ("channel", ChoicesDropdownFilter),
        BuyerFilter,
        ("created_at", DayRangeFilter),
        TotalFilter,
    )
    search_fields = ("number",)
    search_help_text = "Number, reference or customer"
    actions = ("start_processing", "run_batch", "export_orders")
    actions_row = ("start_one",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Order]:
        waits = approvals.waits(approvals.commands_about(Order), "number")
        return cast(QuerySet[Order], super().get_queryset(request).annotate(waits_for_second=waits))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return OrderChangeList

    def has_start_order_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.start_order")  # type: ignore[union-attr]

    def has_run_batch_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.run_batch")  # type: ignore[union-attr]

    def has_export_orders_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.export_orders")  # type: ignore[union-attr]

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Links that Django and Unfold make by themselves end on the order's page too."""
        order = self._get(object_id)
        return redirect("orders:page", number=order.number if order else object_id[:80])

    def history_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.change_view(request, object_id)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Order], search_term: str
    ) -> tuple[QuerySet[Order], bool]:
        """Exact number or reference, or the beginning of a customer's reference; `icontains` would read every row."""
        term = search_term.strip()
        if not term:
            return queryset, False
        # Asked first and apart: as part of the OR it would keep PostgreSQL from using any index.
        found = Customer.objects.filter(reference__startswith=term).order_by("reference").values_list("pk", flat=True)
        customers = list(found[:CUSTOMERS_SEARCHED])
        exact = Q(number=term.upper()) | Q(reference=term) & ~Q(reference="")
        return queryset.filter(exact | Q(customer_id__in=customers)), False

    # --- Actions ------------------------------------------------------------------------------------------------------

    @admin.action(description="Start processing", permissions=["start_order"])
    def start_processing(self, request: HttpRequest, queryset: QuerySet[Order]) -> None:
        """Start every ticked order that is placed; say which were left out and why."""
        numbers = list(queryset.order_by("created_at", "id").values_list("number", flat=True)[: MAX_TICKED + 1])
        if len(numbers) > MAX_TICKED:
            limit = f"More than {number(MAX_TICKED)} orders are ticked; one click starts at most {number(MAX_TICKED)}."
            self.message_user(request, f"{limit} Nothing was started.", messages.ERROR)
            return
        actor = person(request.user, Channel.ADMIN)
        skipped = []
        for order_number in numbers:
            try:
                placing.start(order_number, actor=actor, reason="Processing requested in the order list")
            except WrongState as refusal:
                skipped.append(str(refusal))
        level = messages.SUCCESS if not skipped else messages.WARNING
        said = f"Started {number(len(numbers) - len(skipped))}, skipped {number(len(skipped))}."
        more = len(skipped) - REASONS_SHOWN
        tail = [f"and {number(more)} more."] if more > 0 else []
        self.message_user(request, " ".join([said, *skipped[:REASONS_SHOWN], *tail]), level)

    @admin.action(description="Batch…", permissions=["run_batch"])
    def run_batch(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse:
        """To the preview: with the ticked orders, or with the list's filter when all that match it are chosen."""
        return _ask_about(request, queryset, "admin:orders_batch_new")

    @admin.action(description="Export…", permissions=["export_orders"])
    def export_orders(self, request: HttpRequest, queryset: QuerySet[Order]) -> HttpResponse:
        """To the form: with the ticked orders, or with the list's filter when all that match it are chosen."""
        return _ask_about(request, queryset, "admin:orders_export_new")

    @action(  # type: ignore[untyped-decorator]
        description="Start processing",
        permissions=["start_order"],
        icon="play_arrow",
        dialog={
            "title": "Start processing",
            "description": "The order is checked, its stock reserved, the payment taken and the shipment booked.",
            "form_class": StartDialog,
            "form_submit_text": "Start processing",
        },
    )
    def start_one(self, request: HttpRequest, form: StartDialog, object_id: str) -> HttpResponse:
        """The row's action. A dialog, because a link would start orders by GET."""
        order = self._get(object_id)
        if order is None:
            messages.error(request, "There is no such order.")
        else:
            reason = form.cleaned_data["reason"].strip() or "Processing requested in the order list"
            try:
                placing.start(order.number, actor=person(request.user, Channel.ADMIN), reason=reason)
            except WrongState as refusal:
                messages.warning(request, str(refusal))
            else:
                messages.success(request, f"Processing of {order.number} was asked for.")
        target = reverse("admin:orders_order_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    def _get(self, object_id: str) -> Order | None:
        try:
            return Order.objects.filter(pk=UUID(object_id)).first()
        except (ValueError, ValidationError):
            return None

    # --- Columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="Number")
    def number_(self, order: Order) -> str:
        return order.number

    @admin.display(description="Customer", empty_value="Guest")
    def customer_(self, order: Order) -> str | None:
        return str(order.customer) if order.customer else None

    @admin.display(description="Status")
    def status_(self, order: Order) -> SafeString:
        outstanding = bool(order.refund_outstanding_minor)
        tone = order_tone(order.status, refund_outstanding=outstanding)
        mark = badge(tone, order_word(order.status, refund_outstanding=outstanding))
        return mark + badge(Tone.WAITING, approvals.WAITS) if order.waits_for_second else mark  # type: ignore[attr-defined]

    @admin.display(description="Total")
    def total_(self, order: Order) -> str:
        return money(order.total_minor, order.currency)

    @admin.display(description="Lines")
    def line_count_(self, order: Order) -> str:
        return number(order.line_count)

    @admin.display(description="In this status")
    def since(self, order: Order) -> SafeString:
        return ago(order.status_since, clock.now())

    @admin.display(description="Received", ordering="-created_at")
    def received(self, order: Order) -> str:
        return order.created_at.strftime("%d %b %Y %H:%M")

    @admin.display(description="Placed")
    def placed(self, order: Order) -> str:
        return order.placed_at.strftime("%d %b %Y")
