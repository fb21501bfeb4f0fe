"""Incidents: one row for each cause, with how many orders stand still for it, and the decisions for all of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from orders import clock
from orders.actor import person
from orders.admin.dialogs import RowDialog
from orders.admin.reading import QuietChangeList, ReadOnlyAdmin, ago, badge
from orders.admin.recoveries import RECOVERIES
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import Incident
from orders.selectors import incidents as selectors
from orders.selectors.incidents import Shown
from orders.services import incident_decisions
from orders.vocabulary import Channel, IncidentDecision
from orders.wording import Tone


class DecisionDialog(RowDialog[Incident]):
    model = Incident
    note = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="What was decided, and why.")
    orders = forms.CharField(
        max_length=10_000,
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text="Order numbers with spaces between them; leave it empty for all.",
    )

    def about(self, row: Incident) -> str:
        return row.says

    def amount(self, row: Incident) -> str:
        now = _shown(row).figures
        return f"{counted(now.count, 'order')}, {now.money}" if now.totals else counted(now.count, "case")


class ResolveDialog(DecisionDialog):
    recovery = forms.ChoiceField(
        choices=RECOVERIES,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Only for orders whose process is gone.",
    )


class StandingFilter(DropdownFilter):
    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Incident]) -> QuerySet[Incident]:
        if self.value() in ("open", "closed"):
            return queryset.filter(closed_at__isnull=self.value() == "open")
        return queryset


class WithFigures(QuietChangeList):
    """The figures of the page's incidents, in one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows: list[Incident] = list(self.result_list)  # type: ignore[has-type]
        for incident, figures in zip(rows, selectors.shown(rows), strict=True):
            incident.shown = figures  # type: ignore[attr-defined]
        self.result_list = rows


@admin.register(Incident)
class IncidentAdmin(ReadOnlyAdmin):
    list_display = ("standing", "says", "orders_", "worth", "since", "waits_for", "most", "closed_at")
    list_display_links = None
    list_filter = (StandingFilter,)
    ordering = ("-created_at", "-id")
    sortable_by = ()
    actions_row = ("try_again", "resolve_all")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Incident]:
        mine: QuerySet[Incident] = super().get_queryset(request)
        return mine.exclude(told_at=None)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return WithFigures

    def has_decide_incident_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.decide_incident")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Try all again",
        permissions=["decide_incident"],
        icon="refresh",
        dialog={"title": "Try the failing steps again", "form_class": DecisionDialog, "form_submit_text": "Try again"},
    )
    def try_again(self, request: HttpRequest, form: DecisionDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, IncidentDecision.RETRY)

    @action(  # type: ignore[untyped-decorator]
        description="Resolve all",
        permissions=["decide_incident"],
        icon="task_alt",
        dialog={
            "title": "Resolve each of them, with what follows from it",
            "form_class": ResolveDialog,
            "form_submit_text": "Resolve",
        },
    )
    def resolve_all(self, request: HttpRequest, form: DecisionDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, IncidentDecision.RESOLVE)

    def _decide(
        self, request: HttpRequest, form: DecisionDialog, object_id: str, decision: IncidentDecision
    ) -> HttpResponse:
        try:
            decided = incident_decisions.decide(
                UUID(object_id),
                decision,
                note=form.cleaned_data["note"],
                numbers=form.cleaned_data["orders"].split(),
                recovery=form.cleaned_data.get("recovery", ""),
                actor=person(request.user, Channel.ADMIN),
            )
        except (ValueError, Incident.DoesNotExist):
            messages.error(request, "There is no such incident.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"Done for {decided.done}.")
            if decided.refused:
                first, why = next(iter(decided.refused.items()))
                messages.warning(request, f"Refused for {counted(len(decided.refused), 'other')}: {first}: {why}")
            if decided.left:
                messages.warning(request, f"{decided.left} are left: do it again.")
        target = reverse("admin:orders_incident_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Standing")
    def standing(self, incident: Incident) -> SafeString:
        return badge(Tone.DONE, "Closed") if incident.closed_at else badge(Tone.TROUBLE, "Open")

    @admin.display(description="Orders")
    def orders_(self, incident: Incident) -> SafeString | str:
        now = _shown(incident).figures
        if not now.totals:
            return str(now.count)
        target = reverse("admin:orders_order_changelist")
        return format_html('<a href="{}?incident={}">{}</a>', target, incident.pk, counted(now.count, "order"))

    @admin.display(description="Worth")
    def worth(self, incident: Incident) -> str:
        return _shown(incident).figures.money

    @admin.display(description="Since")
    def since(self, incident: Incident) -> SafeString:
        return ago(incident.created_at, clock.now())

    @admin.display(description="Waits for")
    def waits_for(self, incident: Incident) -> str:
        return _shown(incident).waits_for or incident.resolution


def _shown(incident: Incident) -> Shown:
    found: Shown | None = getattr(incident, "shown", None)
    return found or selectors.shown([incident])[0]
