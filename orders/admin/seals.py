"""The daily seals: that each day has one, and a file of it to keep elsewhere."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin
from orders.amounts import number
from orders.errors import NotPermitted
from orders.models import HistorySeal
from orders.services import seals
from orders.streaming import attachment
from orders.vocabulary import Channel


@admin.register(HistorySeal)
class HistorySealAdmin(ReadOnlyAdmin):
    list_display = ("sequence", "day", "orders_", "events_", "moved", "short_hash", "actor", "created_at", "download")
    ordering = ("-sequence",)
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("<int:sequence>/seal.jsonl", view(self.download_view), name="orders_historyseal_download"),
            *super().get_urls(),
        ]

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        may = request.user.has_perm("orders.export_historyseal")  # type: ignore[union-attr]
        return tuple(name for name in self.list_display if may or name != "download")

    def download_view(self, request: HttpRequest, sequence: int) -> HttpResponseBase:
        """One seal with the heads of its day: the file is as long as that day was busy, not as the shop is old."""
        if not HistorySeal.objects.filter(sequence=sequence).exists():
            raise Http404("There is no such seal.")
        try:
            lines = seals.export_lines(actor=person(request.user, Channel.ADMIN), sequence=sequence)
        except NotPermitted as refusal:
            raise PermissionDenied(str(refusal)) from refusal
        return attachment(
            request, lines, name=f"seal-{sequence}.jsonl", content_type="application/jsonl; charset=utf-8"
        )

    @admin.display(description="Orders")
    def orders_(self, seal: HistorySeal) -> str:
        return number(seal.order_count)

    @admin.display(description="Events")
    def events_(self, seal: HistorySeal) -> str:
        return number(seal.event_count)

    @admin.display(description="Moved since the seal before")
    def moved(self, seal: HistorySeal) -> str:
        return number(seal.head_count)

    @admin.display(description="Hash")
    def short_hash(self, seal: HistorySeal) -> SafeString:
        return format_html('<code title="{}">{}</code>', seal.hash, seal.hash[:12])

    @admin.display(description="Keep it elsewhere")
    def download(self, seal: HistorySeal) -> SafeString:
        return format_html(
            '<a href="{}">Download</a>', reverse("admin:orders_historyseal_download", args=[seal.sequence])
        )
