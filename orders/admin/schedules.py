"""What runs by itself and who serves the queues, as workers last saw it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget

from orders import clock
from orders.actor import person
from orders.admin.partners import ReasonDialog
from orders.admin.reading import ReadOnlyAdmin, ago, badge
from orders.amounts import duration, number
from orders.errors import InvalidInput, WrongState
from orders.models import QueueState, ScheduleState
from orders.selectors.health import unserved_since
from orders.services import scheduling
from orders.vocabulary import Channel
from orders.wording import Tone, status_word

RESULT_TONES = {"completed": Tone.DONE, "running": Tone.MOVING, "forgotten": Tone.NEUTRAL}


#: what a dialog asks for
SAID = ("reason", "since", "until")


class BackfillDialog(ReasonDialog):
    since = forms.DateTimeField(widget=UnfoldAdminTextInputWidget, help_text="UTC, as 2026-01-31 22:00")
    until = forms.DateTimeField(
        widget=UnfoldAdminTextInputWidget, help_text=f"At most {scheduling.LONGEST_BACKFILL} days later."
    )


def _dialog(title: str, button: str, form: type[ReasonDialog] = ReasonDialog) -> dict[str, object]:
    return {"title": title, "form_class": form, "form_submit_text": button}


@admin.register(ScheduleState)
class ScheduleStateAdmin(ReadOnlyAdmin):
    list_display = ("what", "state", "next_run_at", "last_run_at", "last_result_", "missed", "why", "seen")
    ordering = ("name",)
    sortable_by = ()
    actions_row = ("pause", "resume", "run_now", "backfill")

    def has_drive_schedule_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.drive_schedule")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Pause",
        permissions=["drive_schedule"],
        icon="pause",
        dialog=_dialog("Start no run until somebody resumes it", "Pause"),
    )
    def pause(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, scheduling.pause, object_id, form)

    @action(  # type: ignore[untyped-decorator]
        description="Resume",
        permissions=["drive_schedule"],
        icon="play_arrow",
        dialog=_dialog("Start the planned runs again", "Resume"),
    )
    def resume(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, scheduling.resume, object_id, form)

    @action(  # type: ignore[untyped-decorator]
        description="Run now",
        permissions=["drive_schedule"],
        icon="bolt",
        dialog=_dialog("Start a run besides the planned ones", "Run now"),
    )
    def run_now(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, scheduling.run_now, object_id, form)

    @action(  # type: ignore[untyped-decorator]
        description="Backfill",
        permissions=["drive_schedule"],
        icon="history",
        dialog=_dialog("Make the runs that were due in the past", "Backfill", BackfillDialog),
    )
    def backfill(self, request: HttpRequest, form: ReasonDialog, object_id: str) -> HttpResponse:
        return self._drive(request, scheduling.backfill, object_id, form)

    def _drive(
        self, request: HttpRequest, service: Callable[..., ScheduleState], object_id: str, form: ReasonDialog
    ) -> HttpResponse:
        # The dialog has fields of its own besides.
        said = {name: form.cleaned_data[name] for name in SAID if name in form.cleaned_data}
        try:
            row = service(unquote(object_id), actor=person(request.user, Channel.ADMIN), **said)
        except ScheduleState.DoesNotExist:
            messages.error(request, "There is no such schedule.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"{self.what(row)}: Temporal is told; this list follows within seconds.")
        target = reverse("admin:orders_schedulestate_changelist")
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="What")
    def what(self, row: ScheduleState) -> str:
        return row.summary or row.name

    @admin.display(description="State")
    def state(self, row: ScheduleState) -> SafeString:
        return badge(Tone.WAITING, "Paused") if row.paused else badge(Tone.DONE, "Runs")

    @admin.display(description="Last result")
    def last_result_(self, row: ScheduleState) -> SafeString | str:
        if not row.last_result:
            return "-"
        return badge(RESULT_TONES.get(row.last_result, Tone.TROUBLE), status_word(row.last_result))

    @admin.display(description="Paused by, and why")
    def why(self, row: ScheduleState) -> str:
        return f"{row.paused_by}: {row.pause_reason}" if row.paused else "-"

    @admin.display(description="Seen")
    def seen(self, row: ScheduleState) -> SafeString:
        return ago(row.seen_at, clock.now())


@admin.register(QueueState)
class QueueStateAdmin(ReadOnlyAdmin):
    list_display = ("name", "state", "pollers", "backlog_", "oldest", "served", "asked")
    ordering = ("name",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, queue: QueueState) -> SafeString:
        now = clock.now()
        since = unserved_since(queue, now)
        if since is None:
            return badge(Tone.DONE, "Served")
        return badge(Tone.TROUBLE, f"No worker for {duration(now - since)}")

    @admin.display(description="Backlog")
    def backlog_(self, queue: QueueState) -> str:
        return "-" if queue.backlog is None else number(queue.backlog)

    @admin.display(description="Oldest task")
    def oldest(self, queue: QueueState) -> str:
        return duration(timedelta(seconds=queue.oldest_seconds)) if queue.oldest_seconds else "-"

    @admin.display(description="A worker polled it")
    def served(self, queue: QueueState) -> SafeString | str:
        return ago(queue.served_at, clock.now()) if queue.served_at else "never"

    @admin.display(description="Temporal was asked")
    def asked(self, queue: QueueState) -> SafeString | str:
        return ago(queue.asked_at, clock.now()) if queue.asked_at else "never"
