"""What the sweep found: for reading, with a link to each order. What a person must do stands among the tasks."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter

from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.models import Finding
from orders.wording import Tone, status_word


class StandingFilter(DropdownFilter):
    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("open", "Open"), ("resolved", "Resolved")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Finding]) -> QuerySet[Finding]:
        if self.value() in ("open", "resolved"):
            return queryset.filter(resolved_at__isnull=self.value() == "open")
        return queryset


@admin.register(Finding)
class FindingAdmin(ReadOnlyAdmin):
    list_display = (
        "order_",
        "reference",
        "kind",
        "standing",
        "says",
        "first_seen_at",
        "last_seen_at",
        "repair",
        "resolution",
    )
    list_display_links = None
    list_select_related = ("order",)
    list_filter = (StandingFilter, ("kind", ChoicesDropdownFilter))
    search_fields = ("order__number__exact", "reference__exact")
    search_help_text = "Order number, run, or payment at the gateway"
    ordering = ("-first_seen_at", "-id")
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, finding: Finding) -> SafeString | str:
        return finding.reference if finding.order is None else order_link(finding.order)

    @admin.display(description="Standing")
    def standing(self, finding: Finding) -> SafeString:
        if finding.resolved_at:
            return badge(Tone.DONE, "Resolved")
        return badge(Tone.WAITING, "Being repaired") if finding.repair else badge(Tone.TROUBLE, status_word("open"))
