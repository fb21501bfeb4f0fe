"""Customers, products and stock. A product's name and price may be changed; every version of it is kept."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import Model, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin
from orders.admin.waiting import MayWaitAdmin
from orders.amounts import number, price
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Command, Customer, Product, StockItem
from orders.services import catalogue, erasing
from orders.vocabulary import Channel, CommandKind


class EraseDialog(BaseDialogForm):
    reason = forms.CharField(
        max_length=500,
        widget=UnfoldAdminTextInputWidget,
        help_text="Who asked for it. Kept in the history, so no names.",
    )
    also = forms.CharField(
        label="Other words that name the person",
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="An address, a telephone number, another spelling; one a line. Every text and file is searched for "
        "them; they are not kept.",
    )


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("reference", "name", "email", "country", "erased_at", "orders_")
    list_select_related = ("key",)
    fields = readonly_fields = ("reference", "name", "email", "country", "created_at", "erased_at", "erasures")
    search_fields = ("reference__startswith",)
    search_help_text = "Reference"
    ordering = ("reference",)
    actions_row = ("erase",)

    def has_erase_customer_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.erase_customer")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Erase personal data",
        permissions=["erase_customer"],
        icon="person_off",
        dialog={
            "title": "Erase personal data",
            "description": "Name, e-mail, country and reference of this customer are erased and cannot be "
            "brought back. Orders, history and books stay.",
            "form_class": EraseDialog,
            "form_submit_text": "Erase for ever",
        },
    )
    def erase(self, request: HttpRequest, form: EraseDialog, object_id: str) -> HttpResponse:
        """The row's action, behind a dialog that has to be confirmed."""
        customer = Customer.objects.filter(pk=int(object_id)).first() if object_id.isdecimal() else None
        if customer is None:
            messages.error(request, "There is no such customer.")
        else:
            actor = person(request.user, Channel.ADMIN)
            try:
                done = erasing.erase_customer(
                    customer.reference,
                    actor=actor,
                    reason=form.cleaned_data["reason"],
                    also=form.cleaned_data["also"].splitlines(),
                )
            except (WrongState, InvalidInput) as refusal:
                messages.warning(request, str(refusal))
            else:
                (messages.success if done.is_new else messages.info)(request, done.words)
        target = reverse("admin:orders_customer_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Erasures, and where was looked")
    def erasures(self, customer: Customer) -> SafeString | str:
        """What each request found, as whoever asked was told."""
        asked = Command.objects.filter(kind=CommandKind.ERASE_CUSTOMER).order_by("created_at")
        told = [
            format_html(
                "<p>{} UTC, {}: {}</p>", f"{command.created_at:%d %b %Y, %H:%M}", command.actor, command.outcome
            )
            for command in asked.filter(Q(customer=customer) | Q(subject=customer.reference, customer=None))
        ]
        return format_html_join("", "{}", ((one,) for one in told)) or "None"

    @admin.display(description="Orders")
    def orders_(self, customer: Customer) -> SafeString:
        return format_html('<a href="{}?q={}">Show</a>', reverse("admin:orders_order_changelist"), customer.reference)


class ProductForm(forms.ModelForm):
    def clean_unit_price(self) -> Any:
        price = self.cleaned_data["unit_price"]
        try:
            catalogue.check_price(price)
        except InvalidInput as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return price


@admin.register(Product)
class ProductAdmin(MayWaitAdmin):
    list_display = ("sku", "name", "price_", "available")
    list_select_related = ("stock",)
    list_filter = (("currency", ChoicesDropdownFilter),)
    search_fields = ("sku__startswith",)
    search_help_text = "SKU"
    ordering = ("sku",)
    fields = ("sku", "name", "unit_price", "currency", "created_at")
    #: an order line names the product by these
    readonly_fields = ("sku", "currency", "created_at")

    form = ProductForm

    def give(self, request: HttpRequest, obj: Model, form: forms.ModelForm, *, is_new: bool) -> Approval | None:
        return catalogue.change_product(
            cast(Product, obj).sku,
            name=form.cleaned_data["name"],
            unit_price=form.cleaned_data["unit_price"],
            actor=person(request.user, Channel.ADMIN),
        )

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(ModelAdmin.has_change_permission(self, request, obj))

    @admin.display(description="Price")
    def price_(self, product: Product) -> str:
        return price(product.unit_price, product.currency)

    @admin.display(description="Available", empty_value="No stock record")
    def available(self, product: Product) -> str | None:
        return number(product.stock.available) if hasattr(product, "stock") else None


@admin.register(StockItem)
class StockItemAdmin(ReadOnlyAdmin):
    list_display = ("product", "available_", "reserved", "on_hand", "shipped", "received")
    list_select_related = ("product",)
    search_fields = ("product__sku__startswith",)
    search_help_text = "SKU"
    ordering = ("product_id",)
    sortable_by = ()

    @admin.display(description="Available")
    def available_(self, item: StockItem) -> str:
        return number(item.available)
