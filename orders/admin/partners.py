"""The partners: which answer, which are out of order, what waits behind them, and the three answers of a lead."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.partner_runs import with_buttons
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import PartnerHealth
from orders.partners import breaker
from orders.selectors.health import PARTNER_NAMES
from orders.selectors.partner_runs import stale_words
from orders.services import breakers
from orders.vocabulary import BreakerState, Channel, PartnerCode
from orders.wording import Tone, status_word

STATES = {
    BreakerState.OPEN: (Tone.TROUBLE, "Out of order"),
    BreakerState.HALF_OPEN: (Tone.WAITING, "One call tries"),
    BreakerState.HELD: (Tone.WAITING, "Held"),
}


class ReasonDialog(BaseDialogForm):
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Why; kept with your name.")


def _dialog(title: str, button: str) -> dict[str, object]:
    return {"title": title, "form_class": ReasonDialog, "form_submit_text": button}


@admin.register(PartnerHealth)
class PartnerHealthAdmin(ReadOnlyAdmin):
    list_display = (
        "name",
        "state_",
        "since",
        "next_try",
        "waiting",
        "refused",
        "stale",
        "failures_in_a_row",
        "last_ok_at",
        "last_error",
    )
    ordering = ("partner",)
    sortable_by = ()
    actions_row = ("hold", "probe", "close")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return with_buttons(super().changelist_view(request, extra_context), request)

    def has_drive_breaker_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.drive_breaker")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Hold calls",
        permissions=["drive_breaker"],
        icon="pause",
        dialog=_dialog("Stop all calls until somebody resumes them", "Hold calls"),
    )
    def hold(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, breakers.hold, object_id, form, "calls are held until somebody resumes them.")

    @action(  # type: ignore[untyped-decorator]
        description="Try one call",
        permissions=["drive_breaker"],
        icon="network_check",
        dialog=_dialog("Let the next call try; a waiting order makes one within half a minute", "Try one call"),
    )
    def probe(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, breakers.probe, object_id, form, "the next call tries whether it answers.")

    @action(  # type: ignore[untyped-decorator]
        description="Resume calls",
        permissions=["drive_breaker"],
        icon="play_arrow",
        dialog=_dialog("Resume all calls, without a try", "Resume calls"),
    )
    def close(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, breakers.close, object_id, form, "calls are made again.")

    def _drive(
        self,
        request: HttpRequest,
        service: Callable[..., PartnerHealth],
        object_id: str,
        form: ReasonDialog,
        taken: str,
    ) -> HttpResponse:
        try:
            row = service(
                PartnerCode(object_id), actor=person(request.user, Channel.ADMIN), reason=form.cleaned_data["reason"]
            )
        except ValueError:
            messages.error(request, "There is no such partner.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"{self.name(row)}: {taken}")
        target = reverse("admin:orders_partnerhealth_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Partner")
    def name(self, row: PartnerHealth) -> str:
        return PARTNER_NAMES.get(PartnerCode(row.partner), status_word(row.partner))

    @admin.display(description="State")
    def state_(self, row: PartnerHealth) -> SafeString:
        if row.state != BreakerState.CLOSED:
            return badge(*STATES[BreakerState(row.state)])
        if row.failures_in_a_row:
            return badge(Tone.WAITING, "Shaky")
        return badge(Tone.DONE, "Answers") if row.last_ok_at else badge(Tone.NEUTRAL, "Not called yet")

    @admin.display(description="Since")
    def since(self, row: PartnerHealth) -> str:
        return f"{row.opened_at:%d %b %H:%M:%S}" if row.opened_at else "-"

    @admin.display(description="Next try")
    def next_try(self, row: PartnerHealth) -> str:
        return f"{row.next_try_at:%d %b %H:%M:%S}" if row.next_try_at else "-"

    @admin.display(description="What waits")
    def waiting(self, row: PartnerHealth) -> str:
        partner = PartnerCode(row.partner)
        orders = counted(breaker.parked(partner).count(), "order")
        calls = breaker.waiting_calls(partner).count()
        return f"{orders}, {counted(calls, 'call')} of a run" if calls else orders

    @admin.display(description="Requests refused")
    def refused(self, row: PartnerHealth) -> str:
        refused = breaker.refused_requests(PartnerCode(row.partner)).count()
        return f"{counted(refused, 'order')}, parked with a task" if refused else "-"

    @admin.display(description="Old answers used")
    def stale(self, row: PartnerHealth) -> str:
        return stale_words(PartnerCode(row.partner))
