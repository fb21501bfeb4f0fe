"""Order feeds: bringing a file in, watching its import, and taking home the rows that were refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldBooleanSwitchWidget,
)

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import money, number
from orders.errors import InvalidFeed, InvalidInput, NotPermitted
from orders.models import FeedImport
from orders.polling import STOP_POLLING, polled
from orders.services import feeds
from orders.services.feeds import layouts
from orders.services.feeds.receiving import MAX_INITIAL_STOCK
from orders.vocabulary import Channel, FeedStatus, RejectReason
from orders.wording import Tone, status_word

FEED_TONES = {FeedStatus.COMPLETED: Tone.DONE, FeedStatus.FAILED: Tone.TROUBLE}
REJECT_WORDS = {
    RejectReason.INVALID_ROW: "a row cannot be read",
    RejectReason.ADJUSTMENT_DOCUMENT: "an adjustment, not an order",
    RejectReason.NON_POSITIVE_QUANTITY: "a quantity of zero or less",
    RejectReason.NEGATIVE_PRICE: "a negative price",
    RejectReason.ZERO_TOTAL: "adds up to nothing",
    RejectReason.UNKNOWN_PRODUCT: "a product nobody knows",
    RejectReason.TOO_MANY_LINES: "too many lines",
}


def layout_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in layouts.names()]


class ImportForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        widget=UnfoldAdminFileFieldWidget,
        help_text=f"At most {settings.FEED_UPLOAD_MAX_BYTES // 1024 // 1024} MB and "
        f"{number(settings.FEED_UPLOAD_MAX_ROWS)} rows; larger ones by the command import_orders.",
    )
    layout = forms.ChoiceField(choices=layout_choices, widget=UnfoldAdminSelectWidget)
    process = forms.BooleanField(
        label="Start processing of every order",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Otherwise they are placed and wait.",
    )
    create_products = forms.BooleanField(
        label="Create products that are not known",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Otherwise their invoices are rejected.",
    )
    initial_stock = forms.IntegerField(
        label="Stock of created products",
        required=False,
        min_value=0,
        max_value=MAX_INITIAL_STOCK,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Pieces that each of them begins with.",
    )


@admin.register(FeedImport)
class FeedImportAdmin(ReadOnlyAdmin):
    list_display = ("name", "status_", "rows_", "documents", "created_orders", "actor", "created_at")
    list_filter = (("status", ChoicesDropdownFilter),)
    sortable_by = ()

    def has_import_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.import_feed")  # type: ignore[union-attr]

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        rejected = view(require_safe(self.rejected_view))
        return [
            path("import/", view(self.import_view), name="orders_feedimport_import"),
            path("<uuid:feed_id>/live/", polled(self.live_view), name="orders_feedimport_live"),
            path("<uuid:feed_id>/rejected.csv", rejected, name="orders_feedimport_rejected"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        button = {"title": "Import orders", "path": reverse("admin:orders_feedimport_import"), "icon": "upload_file"}
        offered = [{**button, "attrs": {}, "variant": "primary"}] if self.has_import_permission(request) else []
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data["actions_list"] = offered
        return response

    def import_view(self, request: HttpRequest) -> HttpResponse:
        if not self.has_import_permission(request):
            raise PermissionDenied("This needs the permission orders.import_feed.")
        form = ImportForm(request.POST or None, request.FILES or None)
        if request.method == "POST" and form.is_valid():
            feed = self._receive(request, form)
            if feed is not None:
                messages.success(request, f"{feed.name} was taken in; its import goes on by itself.")
                if self.has_view_permission(request):
                    return redirect("admin:orders_feedimport_change", feed.pk)
                return redirect("admin:index")
        for field, permission in (("process", "start_order"), ("create_products", "add_product")):
            if not request.user.has_perm(f"orders.{permission}"):  # type: ignore[union-attr]
                form.fields[field].disabled = True
                form.fields[field].help_text = f"You do not have the permission orders.{permission}."
        return self._in_frame(request, "orders/import.html", {"form": form, "title": "Import orders"})

    def _receive(self, request: HttpRequest, form: ImportForm) -> FeedImport | None:
        """Hand the file to the service; what it refuses is shown at the field it names."""
        upload = form.cleaned_data["file"]
        if upload.size > settings.FEED_UPLOAD_MAX_BYTES:
            form.add_error("file", f"The file has {upload.size} bytes; the limit is {settings.FEED_UPLOAD_MAX_BYTES}.")
            return None
        try:
            return feeds.receive(
                upload.read(),
                name=upload.name,
                layout=form.cleaned_data["layout"],
                actor=person(request.user, Channel.ADMIN),
                create_products=form.cleaned_data["create_products"],
                initial_stock=form.cleaned_data["initial_stock"] or 0,
                process=form.cleaned_data["process"],
                max_bytes=settings.FEED_UPLOAD_MAX_BYTES,
                max_rows=settings.FEED_UPLOAD_MAX_ROWS,
            )
        except InvalidInput as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        except InvalidFeed as refusal:
            form.add_error("file", str(refusal))
        except NotPermitted as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        return None

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        feed = self._visible(request, object_id)
        return self._in_frame(request, "orders/feed.html", {**self._figures(feed), "title": f"Import of {feed.name}"})

    def live_view(self, request: HttpRequest, feed_id: UUID) -> HttpResponse:
        context = self._figures(self._visible(request, str(feed_id)))
        response = render(request, "orders/feed_live.html", {**context, "polled": True})
        if context["is_over"]:
            response.status_code = STOP_POLLING
        return response

    def rejected_view(self, request: HttpRequest, feed_id: UUID) -> StreamingHttpResponse:
        feed = self._visible(request, str(feed_id))
        response = StreamingHttpResponse(feeds.bad_rows_csv(feed), content_type="text/csv; charset=utf-8")
        response["Content-Disposition"] = f'attachment; filename="rejected-{feed.pk}.csv"'
        return response

    def _visible(self, request: HttpRequest, object_id: str) -> FeedImport:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_feedimport.")
        try:
            return FeedImport.objects.get(pk=UUID(object_id))
        except (ValueError, FeedImport.DoesNotExist) as error:
            raise Http404("There is no such import.") from error

    def _figures(self, feed: FeedImport) -> dict[str, Any]:
        figures, progress = feeds.figures(feed), feeds.progress(feed.pk)
        currency = layouts.layout_of(feed).currency
        credited = money(figures["credit_total_minor"], currency)
        rejected = sorted(figures["rejected"].items())
        return {
            "feed": feed,
            "status": status_word(progress.status),
            "tone": FEED_TONES.get(progress.status, Tone.MOVING),
            "is_over": progress.is_ended and not (feed.process and progress.moving_orders),
            "progress": progress,
            "why_quiet": "" if progress.is_ended else feeds.why_quiet(feed.pk),
            "rows": [
                ("Invoices in the file", number(figures["invoices"])),
                ("Orders", f"{number(figures['orders'])}, {money(figures['order_total_minor'], currency)}"),
                ("Order lines", number(figures["order_lines"])),
                ("Made by this import", f"{number(feed.created_orders)} orders"),
                (
                    "Credit notes",
                    f"{number(figures['credit_notes'])}, {credited}",
                ),
                ("Without an order", f"{number(figures['unmatched_credit_notes'])} credit notes"),
                ("Rejected", number(sum(count for _, count in rejected))),
            ],
            "rejected": [(REJECT_WORDS[RejectReason(why)], number(count)) for why, count in rejected],
            "orders_now": [(status_word(word), number(count)) for word, count in sorted(progress.orders.items())],
        }

    def _in_frame(self, request: HttpRequest, template: str, context: dict[str, Any]) -> HttpResponse:
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        return render(request, template, {**self.admin_site.each_context(request), **context})

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_feedimport")  # type: ignore[union-attr]

    @admin.display(description="Status")
    def status_(self, feed: FeedImport) -> SafeString:
        return badge(FEED_TONES.get(FeedStatus(feed.status), Tone.MOVING), status_word(feed.status))

    @admin.display(description="Rows")
    def rows_(self, feed: FeedImport) -> str:
        return number(feed.rows_read)

    @admin.display(description="Invoices done")
    def documents(self, feed: FeedImport) -> str:
        return f"{number(feed.documents_stored)} of {number(feed.documents_found)}"
