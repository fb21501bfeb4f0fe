"""Mail to customers, to read; one is sent again on the page of its order."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.models import Notice
from orders.vocabulary import NoticeStatus
from orders.voucher_codes import masked
from orders.wording import NOTICE_TONES, status_word


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    list_display = ("order_", "kind", "status_", "tries", "attempts", "note", "created_at", "finished_at")
    list_display_links = None
    list_select_related = ("order",)
    list_filter = (("status", ChoicesDropdownFilter),)
    exclude = ("text",)
    readonly_fields = ("words",)
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="Text")
    def words(self, notice: Notice) -> str:
        return str(masked(notice.text)) or "-"

    @admin.display(description="Order")
    def order_(self, notice: Notice) -> SafeString | str:
        return order_link(notice.order)

    @admin.display(description="Status")
    def status_(self, notice: Notice) -> SafeString:
        return badge(NOTICE_TONES[NoticeStatus(notice.status)], status_word(notice.status))
