"""The queue of what only a person can settle, with its two answers."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.dialogs import RowDialog
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.admin.recoveries import RECOVERIES
from orders.amounts import money
from orders.errors import InvalidInput, WrongState
from orders.models import StaffTask
from orders.services import resolving, tasks
from orders.vocabulary import Channel, TaskKind, TaskStatus
from orders.wording import Tone, status_word

TONES = {
    TaskStatus.OPEN: Tone.TROUBLE,
    TaskStatus.ACKNOWLEDGED: Tone.WAITING,
    TaskStatus.DONE: Tone.DONE,
}


class ResolveDialog(RowDialog[StaffTask]):
    model = StaffTask
    note = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="What was done.")
    reference = forms.CharField(
        max_length=128, required=False, widget=UnfoldAdminTextInputWidget, help_text="Of the bank, the partner or us."
    )
    decision = forms.ChoiceField(
        choices=RECOVERIES,
        required=False,
        widget=UnfoldAdminSelectWidget,
        help_text="Only for an order whose process is gone.",
    )

    def about(self, row: StaffTask) -> str:
        if row.order is None:
            return row.says
        return f"{row.order.number}, {money(row.order.total_minor, row.order.currency)}: {row.says}"


@admin.register(StaffTask)
class StaffTaskAdmin(ReadOnlyAdmin):
    list_display = ("order_", "kind", "status_", "level", "says", "owner", "created_at", "done_by", "resolution")
    list_display_links = None
    list_select_related = ("order", "batch", "owner")
    list_filter = (("status", ChoicesDropdownFilter), ("level", ChoicesDropdownFilter))
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("-created_at",)
    sortable_by = ()
    actions_row = ("acknowledge", "resolve")

    def get_queryset(self, request: HttpRequest) -> QuerySet[StaffTask]:
        # What staff see as one incident is listed on its link only.
        mine: QuerySet[StaffTask] = super().get_queryset(request)
        return mine if "incident__id__exact" in request.GET else mine & StaffTask.shown()

    def has_work_task_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.work_task")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Take it",
        permissions=["work_task"],
        icon="person_add",
        dialog={"title": "Take this task", "form_class": BaseDialogForm, "form_submit_text": "Take it"},
    )
    def acknowledge(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        return self._answer(request, tasks.acknowledge, object_id)

    @action(  # type: ignore[untyped-decorator]
        description="Resolve",
        permissions=["work_task"],
        icon="task_alt",
        dialog={"title": "Say what was done", "form_class": ResolveDialog, "form_submit_text": "Resolve"},
    )
    def resolve(self, request: HttpRequest, form: ResolveDialog, object_id: str) -> HttpResponse:
        return self._answer(
            request,
            resolving.resolve,
            object_id,
            **{name: form.cleaned_data[name] for name in ("note", "reference", "decision")},
        )

    def _answer(
        self, request: HttpRequest, service: Callable[..., StaffTask], object_id: str, **given: str
    ) -> HttpResponse:
        try:
            task = service(UUID(object_id), actor=person(request.user, Channel.ADMIN), **given)
        except (ValueError, StaffTask.DoesNotExist):
            messages.error(request, "There is no such task.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"{status_word(task.status)}: {task.says}")
        target = reverse("admin:orders_stafftask_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="About")
    def order_(self, task: StaffTask) -> SafeString | str:
        if task.kind == TaskKind.INCIDENT:
            target = reverse("admin:orders_incident_changelist")
            return format_html('<a href="{}?standing=open">Incident</a>', target)
        if task.kind == TaskKind.RESTORED:
            target = reverse("admin:orders_restoredifference_changelist")
            return format_html('<a href="{}?decided=no">Database</a>', target)
        if task.subject:
            return task.subject
        if task.batch is None:
            return order_link(task.order)
        return format_html('<a href="{}">Batch</a>', reverse("admin:orders_batch_change", args=[task.batch.pk]))

    @admin.display(description="Status")
    def status_(self, task: StaffTask) -> SafeString:
        return badge(TONES[TaskStatus(task.status)], status_word(task.status))
