"""Order feeds: bringing a file in, watching its import, and taking home the rows that were refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, re_path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import (
    UnfoldAdminFileFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from orders import clock
from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import counted, money, number
from orders.command_forms import OfferedCommand, OptionalReasonForm, Refused, bound, empty, key_of, take, told_if_gone
from orders.errors import InvalidFeed, InvalidInput, NotPermitted, TooManyWorkbooks, WrongState
from orders.frames import in_frame
from orders.models import FeedImport
from orders.polling import STOP_POLLING, polled
from orders.services import feeds
from orders.services.feeds import layouts, steering
from orders.services.feeds.receiving import MAX_INITIAL_STOCK
from orders.streaming import CSV, attachment
from orders.vocabulary import Channel, CommandKind, DocumentKind, FeedStatus, RejectReason
from orders.wording import Tone, status_word

FEED_TONES = {
    FeedStatus.COMPLETED: Tone.DONE,
    FeedStatus.FAILED: Tone.TROUBLE,
    FeedStatus.PAUSED: Tone.WAITING,
    FeedStatus.CHECKED: Tone.WAITING,
    FeedStatus.CANCELLED: Tone.NEUTRAL,
    FeedStatus.DISCARDED: Tone.NEUTRAL,
}
#: command -> icon and word of its button; what a dry run is told reads differently
BUTTONS = {
    CommandKind.IMPORT_COMMIT: ("check", "Commit"),
    CommandKind.IMPORT_PAUSE: ("pause", "Pause"),
    CommandKind.IMPORT_RESUME: ("play_arrow", "Resume"),
    CommandKind.IMPORT_CANCEL: ("cancel", "Cancel"),
}
DISCARD = ("delete", "Discard")
READING = {FeedStatus.RECEIVED, FeedStatus.VALIDATING}
#: rows and invoices of the report that the page shows
SHOWN = 10
REJECT_WORDS = {
    RejectReason.INVALID_ROW: "a row cannot be read",
    RejectReason.ADJUSTMENT_DOCUMENT: "an adjustment, not an order",
    RejectReason.NON_POSITIVE_QUANTITY: "a quantity of zero or less",
    RejectReason.NEGATIVE_PRICE: "a negative price",
    RejectReason.ZERO_TOTAL: "adds up to nothing",
    RejectReason.UNKNOWN_PRODUCT: "a product nobody knows",
    RejectReason.TOO_MANY_LINES: "too many lines",
    RejectReason.TOTAL_TOO_LARGE: "more than the gateway takes",
}


def layout_choices() -> list[tuple[str, str]]:
    return [(name, name) for name in layouts.names()]


class ImportForm(forms.Form):
    file = forms.FileField(
        label="File (CSV, XLSX or JSON lines)",
        widget=UnfoldAdminFileFieldWidget,
        help_text=f"At most {settings.FEED_UPLOAD_MAX_BYTES // 1024 // 1024} MB and "
        f"{number(settings.FEED_UPLOAD_MAX_ROWS)} rows; larger ones by the command import_orders.",
    )
    layout = forms.ChoiceField(choices=layout_choices, widget=UnfoldAdminSelectWidget)
    dry_run = forms.BooleanField(
        label="Check only",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Nothing is stored until you have seen the report and commit.",
    )
    follows = forms.UUIDField(
        label="Mends the rejected rows of",
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Id of the earlier import; its page has a button that fills this in.",
    )
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
        kinds = "|".join(steering.POSSIBLE)
        return [
            path("import/", view(self.import_view), name="orders_feedimport_import"),
            path("<uuid:feed_id>/live/", polled(self.live_view), name="orders_feedimport_live"),
            path("<uuid:feed_id>/rejected.csv", rejected, name="orders_feedimport_rejected"),
            path(
                "<uuid:feed_id>/invoices.csv", view(require_safe(self.invoices_view)), name="orders_feedimport_invoices"
            ),
            re_path(
                rf"^(?P<feed_id>[0-9a-f-]{{36}})/tell/(?P<kind>{kinds})/\Z",
                view(require_POST(self.tell_view)),
                name="orders_feedimport_tell",
            ),
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
        earlier = {name: request.GET[name] for name in ("follows", "layout") if name in request.GET}
        form = ImportForm(request.POST or None, request.FILES or None, initial=earlier)
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
                dry_run=form.cleaned_data["dry_run"],
                follows=form.cleaned_data["follows"],
                max_bytes=settings.FEED_UPLOAD_MAX_BYTES,
                max_rows=settings.FEED_UPLOAD_MAX_ROWS,
            )
        except InvalidInput as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        except (InvalidFeed, TooManyWorkbooks) as refusal:
            form.add_error("file", str(refusal))
        except WrongState as refusal:
            form.add_error(None, str(refusal))
        except NotPermitted as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        return None

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._shown(request, self._visible(request, object_id))

    def _shown(
        self, request: HttpRequest, feed: FeedImport, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        context = {**self._figures(request, feed, refused), "title": f"Import of {feed.name}"}
        told_if_gone(request, refused, context["buttons"])
        return in_frame(request, "orders/feed.html", context["title"], context, status=status)

    def tell_view(self, request: HttpRequest, feed_id: str, kind: str) -> HttpResponse:
        feed, key = self._visible(request, feed_id), key_of(kind)

        def work(reason: str) -> HttpResponse:
            said = reason.strip() or "From the page of the import"
            try:
                feeds.tell(feed.pk, CommandKind(kind), actor=person(request.user, Channel.ADMIN), reason=said)
            except NotPermitted as refusal:
                raise PermissionDenied(str(refusal)) from refusal
            return redirect("admin:orders_feedimport_change", feed.pk)

        def page(refused: Refused, status: int) -> HttpResponse:
            feed.refresh_from_db()
            return self._shown(request, feed, refused, status)

        return take(request, bound(OptionalReasonForm, key, request.POST), key, work, page)

    def live_view(self, request: HttpRequest, feed_id: UUID) -> HttpResponse:
        context = self._figures(request, self._visible(request, str(feed_id)))
        response = render(request, "orders/feed_live.html", {**context, "polled": True})
        if context["is_over"]:
            response.status_code = STOP_POLLING
        return response

    def rejected_view(self, request: HttpRequest, feed_id: UUID) -> HttpResponseBase:
        feed = self._visible(request, str(feed_id))
        try:
            pieces = feeds.bad_rows_csv(feed)
        except WrongState as refusal:
            messages.warning(request, str(refusal))
            return redirect("admin:orders_feedimport_change", feed.pk)
        return attachment(request, pieces, name=f"rejected-{feed.pk}.csv", content_type=CSV)

    def invoices_view(self, request: HttpRequest, feed_id: UUID) -> HttpResponseBase:
        feed = self._visible(request, str(feed_id))
        return attachment(request, feeds.invoices_csv(feed), name=f"invoices-{feed.pk}.csv", content_type=CSV)

    def _visible(self, request: HttpRequest, object_id: str) -> FeedImport:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_feedimport.")
        try:
            return FeedImport.objects.get(pk=UUID(object_id))
        except (ValueError, FeedImport.DoesNotExist) as error:
            raise Http404("There is no such import.") from error

    def _figures(self, request: HttpRequest, feed: FeedImport, refused: Refused | None = None) -> dict[str, Any]:
        figures, progress = feeds.figures(feed), feeds.progress(feed.pk)
        done, total = progress.done_and_total
        rate, left = progress.pace(clock.now())
        waits = progress.status == FeedStatus.CHECKED
        report: dict[str, Any] = feeds.report(feed) if waits else {"rows": [], "invoices": [], "existing": 0}
        currency = layouts.layout_of(feed).currency
        credited = money(figures["credit_total_minor"], currency)
        rejected = sorted(figures["rejected"].items())
        return {
            "feed": feed,
            "kept": feeds.kept(feed),
            "status": status_word(progress.status),
            "tone": FEED_TONES.get(progress.status, Tone.MOVING),
            "is_over": progress.is_ended and not (feed.process and progress.moving_orders),
            # Of a file that was only looked at, or of which nothing could be read, there is no progress to show.
            "has_progress": not waits and (bool(total) or progress.status != FeedStatus.FAILED),
            "has_failed": progress.status == FeedStatus.FAILED,
            "done": done,
            "total": total,
            "unit": "rows read" if progress.status in READING else "invoices done",
            "rate": rate,
            "left": None if left is None else timedelta(seconds=round(left)),
            "waits": waits,
            "report": report,
            "shown_rows": report["rows"][:SHOWN],
            "refused": [one for one in report["invoices"] if one["outcome"] == DocumentKind.REJECTED][:SHOWN],
            "buttons": self._buttons(request, feed, figures, currency, refused),
            "may_import": self.has_import_permission(request),
            "commands": feed.commands.exclude(kind=CommandKind.IMPORT_FEED).order_by("created_at"),
            "follow_ups": feed.follow_ups.all(),
            "chart": feeds.per_minute(feed),
            "why_quiet": "" if progress.is_ended or progress.waits_for_a_person else feeds.why_quiet(feed.pk),
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

    def _buttons(
        self, request: HttpRequest, feed: FeedImport, figures: dict[str, Any], currency: str, refused: Refused | None
    ) -> list[OfferedCommand]:
        if not self.has_import_permission(request):
            return []
        offered: list[OfferedCommand] = []
        for kind in feeds.possible(feed):
            is_discard = kind is CommandKind.IMPORT_CANCEL and feed.status == FeedStatus.CHECKED
            icon, word = DISCARD if is_discard else BUTTONS[kind]
            verb, key = f"{word} the import", key_of(kind)
            if kind is CommandKind.IMPORT_COMMIT:
                made = f"{counted(figures['orders'], 'order')}, {money(figures['order_total_minor'], currency)}"
                verb = f"Commit: places{' and starts' if feed.process else ''} up to {made}"
            offered.append(
                OfferedCommand(
                    key=key,
                    title=f"{word}…",
                    verb=verb,
                    icon=icon,
                    address=reverse("admin:orders_feedimport_tell", args=[str(feed.pk), kind.value]),
                    form=empty(OptionalReasonForm, key, refused),
                    primary=not offered,
                )
            )
        return offered

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
