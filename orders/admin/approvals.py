"""The queue of what waits for a second person, with the two answers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from orders import clock
from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.errors import InvalidInput, WrongState
from orders.models import Approval
from orders.services import approvals, deciding
from orders.vocabulary import ApprovalStatus, Channel
from orders.wording import Tone, status_word

TONES = {
    ApprovalStatus.WAITING: Tone.MOVING,
    ApprovalStatus.DONE: Tone.DONE,
    ApprovalStatus.DECLINED: Tone.TROUBLE,
}


class ApproveDialog(BaseDialogForm):
    reason = forms.CharField(required=False, max_length=500, widget=UnfoldAdminTextInputWidget)


class DeclineDialog(BaseDialogForm):
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Your colleague reads it.")


@admin.register(Approval)
class ApprovalAdmin(ReadOnlyAdmin):
    list_display = ("says", "state", "requested_by", "reason", "requested_at", "expires_at", "decided_by", "decision")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("subject__exact",)
    search_help_text = "SKU or number"
    ordering = ("-requested_at",)
    sortable_by = ()
    actions_row = ("approve_one", "decline_one")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        return approvals.visible_to(person(request.user, Channel.ADMIN))

    def has_decide_approval_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.decide_approval")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Approve",
        permissions=["decide_approval"],
        icon="check",
        dialog={"title": "Approve and do it", "form_class": ApproveDialog, "form_submit_text": "Approve"},
    )
    def approve_one(self, request: HttpRequest, form: ApproveDialog, object_id: str) -> HttpResponse:
        return self._decide(request, deciding.approve, object_id, form.cleaned_data["reason"])

    @action(  # type: ignore[untyped-decorator]
        description="Decline",
        permissions=["decide_approval"],
        icon="block",
        dialog={"title": "Decline", "form_class": DeclineDialog, "form_submit_text": "Decline"},
    )
    def decline_one(self, request: HttpRequest, form: DeclineDialog, object_id: str) -> HttpResponse:
        return self._decide(request, deciding.decline, object_id, form.cleaned_data["reason"])

    def _decide(
        self, request: HttpRequest, decide: Callable[..., Approval], object_id: str, reason: str
    ) -> HttpResponse:
        try:
            approval = decide(UUID(object_id), actor=person(request.user, Channel.ADMIN), reason=reason)
        except (ValueError, Approval.DoesNotExist):
            messages.error(request, "There is no such request.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"{status_word(approval.status)}: {approval.says}")
        target = reverse("admin:orders_approval_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="State")
    def state(self, approval: Approval) -> SafeString:
        if approval.status == ApprovalStatus.WAITING and approval.expires_at <= clock.now():
            return badge(Tone.NEUTRAL, "Expired")
        status = ApprovalStatus(approval.status)
        return badge(
            TONES.get(status, Tone.NEUTRAL), "Waits for a second person" if status == "waiting" else status_word(status)
        )
