"""Customers, products and stock. A product's name and price may be changed; every version of it is kept."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.admin.reading import ReadOnlyAdmin
from orders.amounts import number, price
from orders.models import Customer, Product, StockItem


@admin.register(Customer)
class CustomerAdmin(ReadOnlyAdmin):
    list_display = ("reference", "name", "email", "country", "orders_")
    search_fields = ("reference__startswith",)
    search_help_text = "Reference"
    ordering = ("reference",)

    @admin.display(description="Orders")
    def orders_(self, customer: Customer) -> SafeString:
        return format_html('<a href="{}?q={}">Show</a>', reverse("admin:orders_order_changelist"), customer.reference)


@admin.register(Product)
class ProductAdmin(ReadOnlyAdmin):
    list_display = ("sku", "name", "price_", "available")
    list_select_related = ("stock",)
    list_filter = (("currency", ChoicesDropdownFilter),)
    search_fields = ("sku__startswith",)
    search_help_text = "SKU"
    ordering = ("sku",)
    fields = ("sku", "name", "unit_price", "currency", "created_at")
    #: an order line names the product by these
    readonly_fields = ("sku", "currency", "created_at")

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
