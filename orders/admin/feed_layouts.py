"""Layouts of feeds that staff map: which column of a sender's file is which of our fields.

Saving writes a new version, so an import stays explained by the mapping that it was read with.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin
from orders.errors import InvalidInput, NotPermitted
from orders.models import FeedLayout
from orders.services.feeds import mapping
from orders.services.feeds.layouts import FIELDS
from orders.vocabulary import Channel

RULES = (
    "date_format",
    "decimal_comma",
    "price_means",
    "default_quantity",
    "default_country",
    "currency",
    "payment_method",
    "credit_note_prefix",
)
LABELS = {
    "reference": "Invoice number",
    "sku": "SKU",
    "description": "Description",
    "quantity": "Quantity",
    "invoiced_at": "Date",
    "unit_price": "Price",
    "customer_reference": "Customer",
    "country": "Country",
}
COLUMN_HELP = "Name of the column in the file's header."
OPTIONAL_HELP = {
    "quantity": "Leave empty when each line is as many pieces as said below.",
    "customer_reference": "Leave empty when all are guests.",
    "country": "Leave empty to use the one below.",
}


def _column(field: str) -> str:
    return f"column_{field}"


class FeedLayoutForm(forms.ModelForm):
    """One input for each of our fields; the columns are checked by the service that writes the version."""

    class Meta:
        model = FeedLayout
        fields = ("name", *RULES, "reason")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "name" not in self.fields:
            # A version is only read; its columns are shown as they are stored.
            return
        self.fields["name"].help_text = "Letters, digits, - and _. A name that exists gets a new version."
        for field, is_needed in FIELDS.items():
            self.fields[_column(field)] = forms.CharField(
                label=f"Column of: {LABELS[field]}",
                max_length=mapping.MAX_COLUMN_NAME,
                required=is_needed,
                widget=UnfoldAdminTextInputWidget,
                help_text=OPTIONAL_HELP.get(field, COLUMN_HELP),
            )

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not self.errors:
            try:
                mapping.check_layout(given["name"], self.columns(given), {rule: given[rule] for rule in RULES})
            except InvalidInput as refusal:
                where = _column(refusal.field) if refusal.field in FIELDS else refusal.field
                self.add_error(where if where in self.fields else None, str(refusal))
        return given

    def columns(self, given: dict[str, Any]) -> dict[str, str]:
        return {field: given.get(_column(field), "") for field in FIELDS}


@admin.register(FeedLayout)
class FeedLayoutAdmin(ReadOnlyAdmin):
    form = FeedLayoutForm
    list_display = ("name", "version", "currency", "date_format", "imports", "made_by", "reason", "created_at")
    ordering = ("name", "-version")
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.add_feedlayout")  # type: ignore[union-attr]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is not None:
            return [(None, {"fields": ("name", "columns", *RULES, "made_by", "reason", "created_at")})]
        columns = tuple(_column(field) for field in FIELDS)
        return [
            (None, {"fields": ("name",)}),
            ("Columns", {"fields": columns}),
            ("Rules", {"fields": RULES}),
            (None, {"fields": ("reason",)}),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        # The inputs for columns are no fields of the model, which the factory would look for.
        return super().get_form(request, obj, change, **{**kwargs, "fields": ("name", *RULES, "reason")})

    def save_model(self, request: HttpRequest, obj: FeedLayout, form: Any, change: bool) -> None:
        given = form.cleaned_data
        try:
            made = mapping.make_layout(
                given["name"],
                columns=form.columns(given),
                actor=person(request.user, Channel.ADMIN),
                reason=given["reason"],
                **{rule: given[rule] for rule in RULES},
            )
        except NotPermitted as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        # The admin goes on with the object that it was given.
        obj.pk = made.pk

    @admin.display(description="Files read")
    def imports(self, layout: FeedLayout) -> int:
        return mapping.imports_of(layout)
