"""The list of what waits for a second person; each request has a page of its own, where it is decided."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.actor import person
from orders.admin.reading import QuietChangeList, ReadOnlyAdmin, badge
from orders.models import Approval
from orders.selectors import approvals as selectors
from orders.vocabulary import Channel


class ApprovalChangeList(QuietChangeList):
    def url_for_result(self, result: Model) -> str:
        return reverse("orders:approval", args=[result.pk])


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = ("says", "state", "requested_by", "reason", "requested_at", "expires_at", "decided_by", "decision")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("subject__exact",)
    search_help_text = "SKU or number"
    ordering = ("-requested_at",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        return selectors.visible_to(person(request.user, Channel.ADMIN))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return ApprovalChangeList

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """Links that Django and Unfold make by themselves end on the request's page too."""
        approval = self.get_object(request, object_id)
        return redirect("orders:approval", pk=approval.pk) if approval else redirect("admin:orders_approval_changelist")

    @admin.display(description="State")
    def state(self, approval: Approval) -> SafeString:
        return badge(selectors.tone_of(approval), selectors.word_of(approval))
