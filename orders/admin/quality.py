"""The shipped orders that were drawn for checking, with the two answers of whoever looked."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.errors import InvalidInput, WrongState
from orders.models import QualityCheck
from orders.services import quality
from orders.vocabulary import Channel, QualityStatus
from orders.wording import Tone, status_word

TONES = {
    QualityStatus.TO_CHECK: Tone.WAITING,
    QualityStatus.PASSED: Tone.DONE,
    QualityStatus.FAILED: Tone.TROUBLE,
}


class NoteDialog(BaseDialogForm):
    note = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="What was looked at and found.")


@admin.register(QualityCheck)
class QualityCheckAdmin(ReadOnlyAdmin):
    list_display = ("order_", "day", "status_", "note", "checked_by", "checked_at")
    list_display_links = None
    list_select_related = ("order", "checked_by")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-created_at", "-id")
    sortable_by = ()
    actions_row = ("pass_one", "fail_one")

    def has_check_quality_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.check_quality")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Passed",
        permissions=["check_quality"],
        icon="check_circle",
        dialog={"title": "This order passed its check", "form_class": NoteDialog, "form_submit_text": "Passed"},
    )
    def pass_one(self, request: HttpRequest, form: NoteDialog, object_id: str) -> HttpResponse:
        return self._answer(request, quality.passed, form, object_id)

    @action(  # type: ignore[untyped-decorator]
        description="Failed",
        permissions=["check_quality"],
        icon="report",
        dialog={"title": "This order failed its check", "form_class": NoteDialog, "form_submit_text": "Failed"},
    )
    def fail_one(self, request: HttpRequest, form: NoteDialog, object_id: str) -> HttpResponse:
        return self._answer(request, quality.failed, form, object_id)

    def _answer(
        self, request: HttpRequest, service: Callable[..., QualityCheck], form: NoteDialog, object_id: str
    ) -> HttpResponse:
        try:
            check = service(UUID(object_id), note=form.cleaned_data["note"], actor=person(request.user, Channel.ADMIN))
        except (ValueError, QualityCheck.DoesNotExist):
            messages.error(request, "There is no such check.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"{status_word(check.status)}: {check.note}")
        target = reverse("admin:orders_qualitycheck_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Order")
    def order_(self, check: QualityCheck) -> SafeString | str:
        return order_link(check.order)

    @admin.display(description="Shipped on")
    def day(self, check: QualityCheck) -> str:
        return str(check.sample_id)

    @admin.display(description="Status")
    def status_(self, check: QualityCheck) -> SafeString:
        return badge(TONES[QualityStatus(check.status)], status_word(check.status))
