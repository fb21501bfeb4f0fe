"""Long processes: starting the day-end close, its page with a strip of its steps, and pause, resume and cancel."""

from __future__ import annotations

import hashlib
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget, UnfoldAdminTextInputWidget

from orders import clock
from orders.actor import person
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.command_forms import (
    OfferedCommand,
    ReasonForm,
    Refused,
    bound,
    empty,
    key_of,
    take,
    told_if_gone,
    with_words,
)
from orders.errors import InvalidInput, WrongState
from orders.frames import in_frame
from orders.models import ProcessDifference, ProcessRun
from orders.models.rules import choices
from orders.polling import STOP_POLLING, polled
from orders.selectors import processes as selectors
from orders.services import processes
from orders.vocabulary import Channel, ProcessName, ProcessStatus
from orders.wording import status_word

#: what the buttons of a run's page send -> service, and what is said when it was taken
COMMANDS = {
    "pause": (processes.pause, "You paused it: no further step begins."),
    "resume": (processes.resume, "You resumed it."),
    "cancel": (processes.cancel, "You cancelled it: no further step begins."),
}
MOST_DIFFERENCES = 100


class StartForm(forms.Form):
    definition = forms.ChoiceField(label="Process", choices=choices(ProcessName), widget=UnfoldAdminSelectWidget)
    business_day = forms.DateField(
        label="Day",
        widget=UnfoldAdminSingleDateWidget,
        help_text="It covers what happened since the run before, until the end of this day or now.",
    )
    reason = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="Kept with your name.")


class DriveForm(ReasonForm):
    do = forms.ChoiceField(choices=[(name, name) for name in COMMANDS], widget=forms.HiddenInput)


@admin.register(ProcessRun)
class ProcessRunAdmin(ReadOnlyAdmin):
    list_display = ("day", "definition", "status_", "progress", "actor", "created_at", "finished_at")
    list_filter = (("status", ChoicesDropdownFilter),)
    ordering = ("-created_at",)
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("start/", view(self.start_view), name="orders_processrun_start"),
            path("<uuid:run_id>/live/", polled(self.live_view), name="orders_processrun_live"),
            path("<uuid:run_id>/drive/", view(require_POST(self.drive_view)), name="orders_processrun_drive"),
            *super().get_urls(),
        ]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_processrun")  # type: ignore[union-attr]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        button = {"title": "Start a process", "path": reverse("admin:orders_processrun_start"), "icon": "play_arrow"}
        offered = [{**button, "attrs": {}, "variant": "primary"}] if _may_run(request) else []
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data["actions_list"] = offered
        return response

    def start_view(self, request: HttpRequest) -> HttpResponse:
        _require(request)
        form = StartForm(request.POST or None, initial={"business_day": clock.now().date()})
        if request.method == "POST" and form.is_valid():
            try:
                run = processes.start(
                    ProcessName(form.cleaned_data["definition"]),
                    business_day=form.cleaned_data["business_day"],
                    actor=person(request.user, Channel.ADMIN),
                    reason=form.cleaned_data["reason"],
                )
            except InvalidInput as refusal:
                form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
            except WrongState as refusal:
                form.add_error(None, str(refusal))
            else:
                messages.success(request, f"{status_word(run.definition)} was started.")
                if self.has_view_permission(request):
                    return redirect("admin:orders_processrun_change", run.pk)
                return redirect("admin:index")
        return in_frame(request, "orders/process_start.html", "Start a process", {"form": form})

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._shown(request, self._visible(request, object_id))

    def _shown(
        self, request: HttpRequest, run: ProcessRun, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        context = self._context(request, run, refused)
        told_if_gone(request, refused, context["buttons"])
        return in_frame(request, "orders/process.html", context["shown"].title, context, status=status)

    def live_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        context = self._context(request, self._visible(request, str(run_id)))
        etag = _version(context)
        over = context["shown"].is_over
        # A page that does not know yet that the run is over must be told once more, and told to stop.
        if request.headers.get("If-None-Match") == etag and not over:
            return HttpResponse(status=304, headers={"ETag": etag})
        response = render(request, "orders/process_live.html", context)
        response["ETag"] = etag
        if over:
            response.status_code = STOP_POLLING
        return response

    def drive_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        _require(request)
        may_view, key = self.has_view_permission(request), key_of(request.POST.get("do", ""))

        def work(do: str, reason: str) -> HttpResponse:
            service, taken = COMMANDS[do]
            try:
                service(run_id, actor=person(request.user, Channel.ADMIN), reason=reason.strip())
            except ProcessRun.DoesNotExist as error:
                raise Http404("There is no such run.") from error
            messages.success(request, taken)
            return redirect("admin:orders_processrun_change", run_id) if may_view else redirect("admin:index")

        def page(refused: Refused, status: int) -> HttpResponse:
            if may_view:
                return self._shown(request, self._visible(request, str(run_id)), refused, status)
            messages.warning(request, with_words(refused.form))
            return redirect("admin:index")

        return take(request, bound(DriveForm, key, request.POST), key, work, page)

    def _visible(self, request: HttpRequest, object_id: str) -> ProcessRun:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_processrun.")
        try:
            return ProcessRun.objects.get(pk=UUID(object_id))
        except (ValueError, ProcessRun.DoesNotExist) as error:
            raise Http404("There is no such run.") from error

    def _context(self, request: HttpRequest, run: ProcessRun, refused: Refused | None = None) -> dict[str, Any]:
        found, shown = run.differences.select_related("order"), selectors.shown(run)
        return {
            "shown": shown,
            "may_run": _may_run(request),
            "buttons": _buttons(shown, refused) if _may_run(request) else [],
            "differences": found[:MOST_DIFFERENCES],
            "difference_count": found.count(),
        }

    @admin.display(description="Day")
    def day(self, run: ProcessRun) -> str:
        return f"{run.business_day:%d %b %Y}"

    @admin.display(description="Status")
    def status_(self, run: ProcessRun) -> SafeString:
        return badge(selectors.RUN_TONES[ProcessStatus(run.status)], status_word(run.status))

    @admin.display(description="Progress")
    def progress(self, run: ProcessRun) -> str:
        return f"{selectors.progress(list(run.steps.all()))} %"


@admin.register(ProcessDifference)
class ProcessDifferenceAdmin(ReadOnlyAdmin):
    list_display = ("created_at", "run", "kind", "order_", "reference", "says")
    list_select_related = ("run", "order")
    list_filter = (("kind", ChoicesDropdownFilter),)
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, found: ProcessDifference) -> SafeString | str:
        return order_link(found.order)


def _buttons(shown: selectors.RunShown, refused: Refused | None) -> list[OfferedCommand]:
    found = [
        ("pause", "Pause", "pause", shown.can_pause),
        ("resume", "Resume", "play_arrow", shown.can_resume),
        ("cancel", "Cancel", "cancel", shown.can_cancel),
    ]
    address = reverse("admin:orders_processrun_drive", args=[shown.run.pk])
    return [
        OfferedCommand(
            key=do,
            title=f"{title}…",
            verb=f"{title} the process",
            icon=icon,
            address=address,
            form=empty(DriveForm, do, refused, do=do),
        )
        for do, title, icon, can in found
        if can
    ]


def _may_run(request: HttpRequest) -> bool:
    return request.user.has_perm("orders.run_process")  # type: ignore[union-attr]


def _require(request: HttpRequest) -> None:
    if not _may_run(request):
        raise PermissionDenied("This needs the permission orders.run_process.")


def _version(context: dict[str, Any]) -> str:
    """Changes whenever the page would show something else."""
    shown = context["shown"]
    rows = [shown.run.status, shown.run.status_since, context["difference_count"], context["may_run"]]
    for one in shown.steps:
        step = one.step
        rows += [step.status, step.token, step.cursor, step.figures, step.outcome, step.error, step.due_at]
    return f'"{hashlib.md5(repr(rows).encode(), usedforsecurity=False).hexdigest()}"'
