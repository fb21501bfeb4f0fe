"""Exports: say what the file is for, watch it being made, download it while it is kept.

A selection arrives here as the list's own filter, and is built by the list's own code: what staff saw there is what is
in the file.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.admin.selecting import refused_selection, selection_of
from orders.amounts import counted, number
from orders.command_forms import OfferedCommand, ReasonForm, Refused, bound, empty, line, take, told_if_gone
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame
from orders.models import Export
from orders.polling import STOP_POLLING, polled
from orders.services import exports
from orders.services.exports.keeping import is_over
from orders.services.selection import in_words
from orders.streaming import attachment, require_place
from orders.vocabulary import Channel, ExportFormat, ExportStatus
from orders.wording import Tone, status_word

TONES = {
    ExportStatus.QUEUED: Tone.NEUTRAL,
    ExportStatus.RUNNING: Tone.MOVING,
    ExportStatus.COMPLETED: Tone.DONE,
    ExportStatus.FAILED: Tone.TROUBLE,
    ExportStatus.CANCELLED: Tone.NEUTRAL,
    ExportStatus.EXPIRED: Tone.NEUTRAL,
}
FORMATS = [(ExportFormat.CSV.value, "CSV"), (ExportFormat.XLSX.value, "Excel (XLSX)")]


class ExportForm(forms.Form):
    format = forms.ChoiceField(choices=FORMATS)
    reason = forms.CharField(max_length=500, label="What it is for", widget=line(autofocus="autofocus"))


def status_badge(export: Export) -> SafeString:
    return badge(TONES[ExportStatus(export.status)], status_word(export.status))


def has_file(export: Export) -> bool:
    return export.status == ExportStatus.COMPLETED and not is_over(export)


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    list_display = ("title", "status_", "rows_", "reason", "actor", "created_at", "file_")
    list_filter = (("status", ChoicesDropdownFilter), ("format", ChoicesDropdownFilter))
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("new/", view(self.new_view), name="orders_export_new"),
            path("<uuid:export_id>/live/", polled(self.live_view), name="orders_export_live"),
            path("<uuid:export_id>/file/", view(self.download_view), name="orders_export_download"),
            path("<uuid:export_id>/cancel/", view(require_POST(self.cancel_view)), name="orders_export_cancel"),
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        may = request.user.has_perm("orders.export_orders")  # type: ignore[union-attr]
        return tuple(name for name in self.list_display if may or name != "file_")

    # --- Asking -------------------------------------------------------------------------------------------------------

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """How many orders are chosen, and the form that asks for their file."""
        actor = person(request.user, Channel.ADMIN)
        for permission in ("orders.export_orders", "orders.view_order"):
            if not actor.may(permission):
                raise PermissionDenied(f"This needs the permission {permission}.")
        try:
            selection = selection_of(request, self.admin_site)
        except InvalidInput as mistake:
            return refused_selection(request, "Export", mistake)
        form = ExportForm(request.POST or None)
        refusal = ""
        if request.method == "POST" and form.is_valid():
            try:
                export = exports.request(
                    selection,
                    ExportFormat(form.cleaned_data["format"]),
                    actor=actor,
                    reason=form.cleaned_data["reason"],
                )
            except (InvalidInput, WrongState) as mistake:
                refusal = str(mistake)
            else:
                messages.success(request, "The orders are chosen; the file is made by itself from here.")
                return redirect("admin:orders_export_change", export.pk)
        elif request.method == "POST":
            refusal = "Nothing was done. The form below says why."
        most = settings.EXPORT_MAX_ROWS
        count = selection.orders.order_by()[: most + 1].count()
        context = {
            "form": form,
            "refusal": refusal or (f"One export takes {counted(most, 'order')} at most." if count > most else ""),
            "chosen": f"More than {number(most)} orders" if count > most else counted(count, "order"),
            "chosen_by": selection.words,
            "is_possible": 0 < count <= most,
            "keep": counted(settings.EXPORT_KEEP_DAYS, "day"),
        }
        return in_frame(request, "orders/export_new.html", "Export", context, status=400 if refusal else 200)

    # --- Watching -----------------------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        export = self._visible(request, object_id)
        return self._shown(request, export)

    def live_view(self, request: HttpRequest, export_id: UUID) -> HttpResponse:
        export = self._visible(request, str(export_id))
        response = render(request, "orders/export_live.html", {**self._live(request, export), "polled": True})
        if export.is_ended:
            response.status_code = STOP_POLLING
        return response

    def download_view(self, request: HttpRequest, export_id: UUID) -> HttpResponseBase:
        require_place(request)
        try:
            file = exports.download(export_id, actor=person(request.user, Channel.ADMIN))
        except Export.DoesNotExist as error:
            raise Http404("There is no such export.") from error
        except NotPermitted as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        except WrongState as refusal:
            messages.warning(request, str(refusal))
            return redirect("admin:orders_export_change", export_id)
        return attachment(request, file.pieces, name=file.name, content_type=file.content_type)

    def cancel_view(self, request: HttpRequest, export_id: UUID) -> HttpResponse:
        actor = person(request.user, Channel.ADMIN)
        if not actor.may("orders.export_orders"):
            raise PermissionDenied("This needs the permission orders.export_orders.")

        def work(reason: str) -> HttpResponse:
            try:
                exports.cancel(export_id, actor=actor, reason=reason)
            except Export.DoesNotExist as error:
                raise Http404("There is no such export.") from error
            messages.success(request, "The export is cancelled, and what was made of it is deleted.")
            return redirect("admin:orders_export_change", export_id)

        def page(refused: Refused, status: int) -> HttpResponse:
            return self._shown(request, self._visible(request, str(export_id)), refused, status)

        return take(request, bound(ReasonForm, "cancel", request.POST), "cancel", work, page)

    def _shown(
        self, request: HttpRequest, export: Export, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        context = self._live(request, export, refused)
        told_if_gone(request, refused, context["buttons"])
        return in_frame(request, "orders/export.html", self.title(export), context, status=status)

    def _live(self, request: HttpRequest, export: Export, refused: Refused | None = None) -> dict[str, Any]:
        may = request.user.has_perm("orders.export_orders")  # type: ignore[union-attr]
        cancel = OfferedCommand(
            key="cancel",
            title="Cancel…",
            verb="Cancel the export",
            icon="cancel",
            address=reverse("admin:orders_export_cancel", args=[export.pk]),
            form=empty(ReasonForm, "cancel", refused),
        )
        return {
            "export": export,
            "heading": self.title(export),
            "status": status_word(export.status),
            "tone": TONES[ExportStatus(export.status)],
            "chosen": in_words(export.selection),
            "has_file": has_file(export),
            "may": may,
            "buttons": [cancel] if may and not export.is_ended else [],
            "steps": export.commands.order_by("created_at"),
        }

    def _visible(self, request: HttpRequest, object_id: str) -> Export:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_export.")
        try:
            return Export.objects.select_related("plan").get(pk=UUID(object_id))
        except (ValueError, Export.DoesNotExist) as error:
            raise Http404("There is no such export.") from error

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_export")  # type: ignore[union-attr]

    # --- Columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="Export")
    def title(self, export: Export) -> str:
        return f"{counted(export.row_count, 'order')} as {export.format.upper()}"

    @admin.display(description="Status")
    def status_(self, export: Export) -> SafeString:
        return status_badge(export)

    @admin.display(description="Rows")
    def rows_(self, export: Export) -> str:
        return f"{number(export.rows_written)} of {number(export.row_count)}"

    @admin.display(description="File", empty_value="None")
    def file_(self, export: Export) -> SafeString | None:
        if not has_file(export):
            return None
        address = reverse("admin:orders_export_download", args=[export.pk])
        return format_html('<a href="{}">Download</a>', address)
