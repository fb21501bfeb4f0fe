"""The list of what went wrong with the system itself, with its one answer: somebody saw it."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin as PlainModelAdmin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.errors import InvalidInput, WrongState
from orders.models import SystemEvent
from orders.services import system_events
from orders.vocabulary import Channel
from orders.wording import Tone


class AcknowledgeDialog(BaseDialogForm):
    note = forms.CharField(
        max_length=500, required=False, widget=UnfoldAdminTextInputWidget, help_text="What was found out."
    )


class SeenFilter(DropdownFilter):
    title = "seen"
    parameter_name = "seen"

    def lookups(self, request: HttpRequest, model_admin: PlainModelAdmin) -> list[tuple[str, str]]:
        return [("no", "By nobody yet"), ("yes", "Acknowledged")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[SystemEvent]) -> QuerySet[SystemEvent]:
        if self.value() in ("yes", "no"):
            return queryset.filter(acknowledged_at__isnull=self.value() == "no")
        return queryset


@admin.register(SystemEvent)
class SystemEventAdmin(ReadOnlyAdmin):
    list_display = (
        "seen_",
        "order_",
        "error_type",
        "message",
        "where",
        "times",
        "ids",
        "last_at",
        "note",
    )
    list_display_links = None
    list_select_related = ("order", "acknowledged_by")
    list_filter = (SeenFilter,)
    search_fields = ("order__number__exact", "workflow_id__exact", "request_id__exact")
    search_help_text = "Order number, workflow id or request id"
    ordering = ("-created_at",)
    sortable_by = ()
    actions_row = ("acknowledge",)

    def has_acknowledge_systemevent_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.acknowledge_systemevent")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Acknowledge",
        permissions=["acknowledge_systemevent"],
        icon="visibility",
        dialog={"title": "Say that you saw it", "form_class": AcknowledgeDialog, "form_submit_text": "Acknowledge"},
    )
    def acknowledge(self, request: HttpRequest, form: AcknowledgeDialog, object_id: str) -> HttpResponse:
        try:
            event = system_events.acknowledge(
                UUID(object_id), note=form.cleaned_data["note"], actor=person(request.user, Channel.ADMIN)
            )
        except (ValueError, SystemEvent.DoesNotExist):
            messages.error(request, "There is no such event.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"Acknowledged: {event.message}")
        target = reverse("admin:orders_systemevent_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Order")
    def order_(self, event: SystemEvent) -> SafeString | str:
        return order_link(event.order)

    @admin.display(description="Where")
    def where(self, event: SystemEvent) -> str:
        if not event.activity:
            return "the workflow"
        return f"{event.activity}, attempt {event.attempt}" if event.attempt else event.activity

    @admin.display(description="Request and workflow")
    def ids(self, event: SystemEvent) -> SafeString:
        return format_html("{}<br>{}", event.request_id or "no request", event.workflow_id)

    @admin.display(description="Seen")
    def seen_(self, event: SystemEvent) -> SafeString:
        if event.acknowledged_by is None:
            return badge(Tone.TROUBLE, "By nobody")
        return badge(Tone.DONE, f"By {event.acknowledged_by}")
