"""Export plans: a filter with an hour, what became of its rounds, and pause, resume and run now."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectMultipleWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from orders.actor import person
from orders.admin.exports import FORMATS, has_file, status_badge
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import number
from orders.command_forms import OfferedCommand, ReasonForm, Refused, bound, empty, take, told_if_gone
from orders.errors import AlreadyExists, InvalidInput
from orders.frames import in_frame
from orders.models import ExportPlan
from orders.models.rules import choices
from orders.selectors.filtering import MAX_LAST_HOURS
from orders.selectors.queues import TITLES, Queue
from orders.services import exports
from orders.services.selection import filter_words
from orders.vocabulary import MAX_ORDER_TOTAL_MINOR, MAX_PLAN_HOURS, Channel, ExportFormat, OrderStatus
from orders.wording import Tone

RUNS_SHOWN = 20
#: fields of the form that are filters of the same name
FILTERS = ("queue", "status", "source", "customer", "last_hours", "total_min", "total_max")
#: button -> (service, what is said when it was taken)
BUTTONS: dict[str, tuple[Callable[..., Any], str]] = {
    "pause": (exports.pause, "The plan asks for nothing until it is resumed."),
    "resume": (exports.resume, "The plan goes on with its next round."),
    "run": (exports.run_now, "The export was asked for."),
}


class PlanForm(forms.Form):
    name = forms.CharField(max_length=100, widget=UnfoldAdminTextInputWidget)
    format = forms.ChoiceField(choices=FORMATS, widget=UnfoldAdminSelectWidget)
    daily_at = forms.TimeField(
        label="Every day at (UTC)", required=False, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "06:30"})
    )
    every_hours = forms.IntegerField(
        label="Or every so many hours",
        required=False,
        min_value=1,
        max_value=MAX_PLAN_HOURS,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    last_hours = forms.IntegerField(
        label="Orders received in the last hours",
        required=False,
        min_value=1,
        max_value=MAX_LAST_HOURS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="24 with a daily plan makes one file a day.",
    )
    status = forms.MultipleChoiceField(
        choices=choices(OrderStatus), required=False, widget=UnfoldAdminSelectMultipleWidget
    )
    queue = forms.ChoiceField(
        label="Who must act",
        choices=[("", "Anybody"), *((queue.value, TITLES[queue]) for queue in Queue)],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    source = forms.CharField(max_length=64, required=False, widget=UnfoldAdminTextInputWidget)
    customer = forms.CharField(
        label="Customer's reference", max_length=64, required=False, widget=UnfoldAdminTextInputWidget
    )
    total_min = forms.IntegerField(
        label="Total from (minor units)",
        required=False,
        min_value=0,
        max_value=MAX_ORDER_TOTAL_MINOR,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    total_max = forms.IntegerField(
        label="Total to (minor units)",
        required=False,
        min_value=0,
        max_value=MAX_ORDER_TOTAL_MINOR,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    reason = forms.CharField(label="What it is for", max_length=500, widget=UnfoldAdminTextInputWidget)

    def asked(self) -> dict[str, Any]:
        """The filters that were filled in; a zero is one."""
        return {name: self.cleaned_data[name] for name in FILTERS if self.cleaned_data[name] not in (None, "", [])}


@admin.register(ExportPlan)
class ExportPlanAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "rhythm_", "filter_", "format", "made_by", "next_at", "last_at", "last_problem")
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("new/", view(self.new_view), name="orders_exportplan_new"),
            path("<uuid:plan_id>/edit/", view(self.edit_view), name="orders_exportplan_edit"),
            *(
                path(
                    f"<uuid:plan_id>/{name}/",
                    view(require_POST(self.button_view)),
                    {"button": name},
                    name=f"orders_exportplan_{name}",
                )
                for name in BUTTONS
            ),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        button = {"title": "Plan an export", "path": reverse("admin:orders_exportplan_new"), "icon": "event_repeat"}
        offered = [{**button, "attrs": {}, "variant": "primary"}] if self._may(request) else []
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data["actions_list"] = offered
        return response

    def new_view(self, request: HttpRequest) -> HttpResponse:
        self._require(request)
        form = PlanForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                plan = exports.plan(
                    given["name"],
                    ExportFormat(given["format"]),
                    form.asked(),
                    actor=person(request.user, Channel.ADMIN),
                    reason=given["reason"],
                    every_hours=given["every_hours"],
                    daily_at=given["daily_at"],
                )
            except (InvalidInput, AlreadyExists) as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                messages.success(request, f"{plan.name} is planned.")
                return redirect("admin:orders_exportplan_change", plan.pk)
        status = 400 if form.errors else 200
        return in_frame(request, "orders/export_plan_new.html", "Plan an export", {"form": form}, status=status)

    def edit_view(self, request: HttpRequest, plan_id: UUID) -> HttpResponse:
        self._require(request)
        plan = ExportPlan.objects.filter(pk=plan_id).first()
        if plan is None:
            raise Http404("There is no such plan.")
        now = {"name": plan.name, "format": plan.format, "daily_at": plan.daily_at, "every_hours": plan.every_hours}
        form = PlanForm(request.POST or None, initial={**plan.filter, **now})
        form.fields["name"].disabled = True
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                exports.change(
                    plan_id,
                    actor=person(request.user, Channel.ADMIN),
                    reason=given["reason"],
                    format=ExportFormat(given["format"]),
                    asked=form.asked(),
                    every_hours=given["every_hours"],
                    daily_at=given["daily_at"],
                )
            except InvalidInput as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            else:
                messages.success(request, f"{plan.name} is changed, from its next round on.")
                return redirect("admin:orders_exportplan_change", plan_id)
        status = 400 if form.errors else 200
        return in_frame(
            request, "orders/export_plan_new.html", f"Change {plan.name}", {"form": form, "plan": plan}, status=status
        )

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._shown(request, object_id)

    def _shown(
        self, request: HttpRequest, object_id: str, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_exportplan.")
        try:
            plan = ExportPlan.objects.select_related("made_by").get(pk=UUID(object_id))
        except (ValueError, ExportPlan.DoesNotExist) as error:
            raise Http404("There is no such plan.") from error
        buttons = self._buttons(plan, refused) if self._may(request) else []
        told_if_gone(request, refused, buttons)
        context = {
            "plan": plan,
            "state": "Paused" if plan.paused else "Active",
            "tone": Tone.WAITING if plan.paused else Tone.DONE,
            "rhythm": self.rhythm_(plan),
            "filter": self.filter_(plan),
            "runs": [(run, status_badge(run), has_file(run)) for run in plan.exports.all()[:RUNS_SHOWN]],
            "steps": plan.commands.order_by("created_at"),
            "buttons": buttons,
        }
        return in_frame(request, "orders/export_plan.html", plan.name, context, status=status)

    def button_view(self, request: HttpRequest, plan_id: UUID, button: str) -> HttpResponse:
        self._require(request)
        service, taken = BUTTONS[button]

        def work(reason: str) -> HttpResponse:
            try:
                service(plan_id, actor=person(request.user, Channel.ADMIN), reason=reason)
            except ExportPlan.DoesNotExist as error:
                raise Http404("There is no such plan.") from error
            messages.success(request, taken)
            return redirect("admin:orders_exportplan_change", plan_id)

        def page(refused: Refused, status: int) -> HttpResponse:
            return self._shown(request, str(plan_id), refused, status)

        return take(request, bound(ReasonForm, button, request.POST), button, work, page)

    def _buttons(self, plan: ExportPlan, refused: Refused | None) -> list[OfferedCommand]:
        names = [("run", "Run now", "Ask for the export now", "play_arrow")]
        if plan.paused:
            names.append(("resume", "Resume", "Resume the plan", "play_arrow"))
        else:
            names.append(("pause", "Pause", "Pause the plan", "pause"))
        commands = [
            OfferedCommand(
                key=name,
                title=f"{title}…",
                verb=verb,
                icon=icon,
                address=reverse(f"admin:orders_exportplan_{name}", args=[plan.pk]),
                form=empty(ReasonForm, name, refused),
            )
            for name, title, verb, icon in names
        ]
        edit = reverse("admin:orders_exportplan_edit", args=[plan.pk])
        return [*commands, OfferedCommand(key="edit", title="Change…", icon="edit", address=edit)]

    def _may(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.plan_exports")  # type: ignore[union-attr]

    def _require(self, request: HttpRequest) -> None:
        if not self._may(request):
            raise PermissionDenied("This needs the permission orders.plan_exports.")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_exportplan")  # type: ignore[union-attr]

    @admin.display(description="State")
    def state(self, plan: ExportPlan) -> SafeString:
        return badge(Tone.WAITING, "Paused") if plan.paused else badge(Tone.DONE, "Active")

    @admin.display(description="When")
    def rhythm_(self, plan: ExportPlan) -> str:
        if plan.daily_at is not None:
            return f"Every day at {plan.daily_at:%H:%M} UTC"
        return f"Every {number(plan.every_hours or 1)} h"

    @admin.display(description="Orders")
    def filter_(self, plan: ExportPlan) -> str:
        return filter_words(plan.filter)
