"""Runs of partner calls: starting one, watching it, cancelling it; and the answers and events that they brought."""

from __future__ import annotations

from typing import Any
from uuid import UUID

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

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import number
from orders.command_forms import OfferedCommand, ReasonForm, Refused, bound, empty, page_command, take, told_if_gone
from orders.frames import in_frame
from orders.models import PartnerAnswer, PartnerCall, PartnerRun, TrackingEvent
from orders.polling import STOP_POLLING, polled
from orders.selectors import partner_runs as selectors
from orders.selectors.health import PARTNER_NAMES
from orders.services import partner_runs
from orders.vocabulary import REFRESHED, Channel, PartnerCallStatus, PartnerCode, PartnerRunStatus
from orders.wording import Tone, status_word

RUN_TONES = {
    PartnerRunStatus.RUNNING: Tone.MOVING,
    PartnerRunStatus.COMPLETED: Tone.DONE,
    PartnerRunStatus.CANCELLED: Tone.NEUTRAL,
}
CALL_TONES = {
    PartnerCallStatus.PENDING: Tone.WAITING,
    PartnerCallStatus.DONE: Tone.DONE,
    PartnerCallStatus.FAILED: Tone.TROUBLE,
    PartnerCallStatus.CANCELLED: Tone.NEUTRAL,
}
MAY = "orders.run_partner_calls"
#: (title, icon) of the button for each partner
BUTTONS = {
    PartnerCode.CARRIER: ("Refresh tracking", "local_shipping"),
    PartnerCode.RATES: ("Refresh rates", "currency_exchange"),
    PartnerCode.ADDRESSES: ("Check addresses", "where_to_vote"),
}


def with_buttons(response: HttpResponse, request: HttpRequest) -> HttpResponse:
    """Offer the runs above a list."""
    if isinstance(response, TemplateResponse) and response.context_data is not None:
        may = request.user.has_perm(MAY)  # type: ignore[union-attr]
        response.context_data["actions_list"] = [
            {
                "title": title,
                "path": reverse("admin:orders_partnerrun_start", args=[partner]),
                "icon": icon,
                "attrs": {},
                "variant": "default",
            }
            for partner, (title, icon) in BUTTONS.items()
            if may
        ]
    return response


@admin.register(PartnerRun)
class PartnerRunAdmin(ReadOnlyAdmin):
    list_display = ("what", "status_", "total", "actor", "reason", "created_at", "finished_at", "note")
    list_filter = (("partner", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("start/<str:code>/", view(self.start_view), name="orders_partnerrun_start"),
            path("<uuid:run_id>/live/", polled(self.live_view), name="orders_partnerrun_live"),
            path("<uuid:run_id>/cancel/", view(require_POST(self.cancel_view)), name="orders_partnerrun_cancel"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return with_buttons(super().changelist_view(request, extra_context), request)

    def start_view(self, request: HttpRequest, code: str) -> HttpResponse:
        """GET says what would be asked; POST asks for it."""
        self._require(request)
        if code not in REFRESHED:
            raise Http404("There is nothing to refresh at this partner.")
        partner = PartnerCode(code)
        title, icon = BUTTONS[partner]

        def work(reason: str) -> HttpResponse:
            run = partner_runs.start(partner, actor=person(request.user, Channel.ADMIN), reason=reason)
            if self.has_view_permission(request):
                return redirect("admin:orders_partnerrun_change", run.pk)
            return redirect("admin:index")

        def page(refused: Refused | None = None, status: int = 200) -> HttpResponse:
            command = page_command("start", title, icon, empty(ReasonForm, "start", refused))
            shown = {"what": REFRESHED[partner], "partner": PARTNER_NAMES[partner], "command": command}
            return in_frame(request, "orders/partner_run_start.html", title, shown, status=status)

        if request.method == "POST":
            return take(request, bound(ReasonForm, "start", request.POST), "start", work, page)
        return page()

    def cancel_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        self._require(request)
        if not PartnerRun.objects.filter(pk=run_id).exists():
            raise Http404("There is no such run.")

        def work(reason: str) -> HttpResponse:
            partner_runs.cancel(run_id, actor=person(request.user, Channel.ADMIN), reason=reason)
            messages.success(request, "No further call is made. Results that came stay.")
            return redirect("admin:orders_partnerrun_change", run_id)

        def page(refused: Refused, status: int) -> HttpResponse:
            return self._shown(request, self._visible(request, str(run_id)), refused, status)

        return take(request, bound(ReasonForm, "cancel", request.POST), "cancel", work, page)

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        return self._shown(request, self._visible(request, object_id))

    def _shown(
        self, request: HttpRequest, run: PartnerRun, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        cancel = OfferedCommand(
            key="cancel",
            title="Cancel…",
            verb="Cancel the run",
            icon="cancel",
            address=reverse("admin:orders_partnerrun_cancel", args=[run.pk]),
            form=empty(ReasonForm, "cancel", refused),
        )
        may = request.user.has_perm(MAY)  # type: ignore[union-attr]
        buttons = [cancel] if may and run.status == PartnerRunStatus.RUNNING else []
        told_if_gone(request, refused, buttons)
        shown = {**self._figures(run), "buttons": buttons}
        return in_frame(request, "orders/partner_run.html", f"{self.what(run)}", shown, status=status)

    def live_view(self, request: HttpRequest, run_id: UUID) -> HttpResponse:
        run = self._visible(request, str(run_id))
        response = render(request, "orders/partner_run_live.html", {**self._figures(run), "polled": True})
        if run.status != PartnerRunStatus.RUNNING:
            response.status_code = STOP_POLLING
        return response

    def _visible(self, request: HttpRequest, object_id: str) -> PartnerRun:
        if not self.has_view_permission(request):
            raise PermissionDenied("This needs the permission orders.view_partnerrun.")
        try:
            return PartnerRun.objects.get(pk=UUID(object_id))
        except (ValueError, PartnerRun.DoesNotExist) as error:
            raise Http404("There is no such run.") from error

    def _figures(self, run: PartnerRun) -> dict[str, Any]:
        progress = selectors.progress(run)
        return {
            "run": run,
            "what": self.what(run),
            "status": status_word(run.status),
            "tone": RUN_TONES[PartnerRunStatus(run.status)],
            "is_over": run.status != PartnerRunStatus.RUNNING,
            "progress": progress,
            "why_quiet": selectors.why_quiet(run),
            "rows": [
                ("Done", number(progress.done)),
                ("Failed for good", number(progress.failed)),
                ("Waiting to be tried again", number(progress.waiting)),
                ("Not made", number(progress.cancelled)),
                ("A second, just now", f"{progress.per_second:.1f}"),
            ],
            "trouble": [
                {
                    "subject": call.subject,
                    "tone": CALL_TONES[PartnerCallStatus(call.status)],
                    "word": status_word(call.status),
                    "attempts": call.attempts,
                    "error": call.error_message,
                }
                for call in selectors.trouble(run)
            ],
        }

    def _require(self, request: HttpRequest) -> None:
        if not request.user.has_perm(MAY):  # type: ignore[union-attr]
            raise PermissionDenied(f"This needs the permission {MAY}.")

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_partnerrun")  # type: ignore[union-attr]

    @admin.display(description="Run")
    def what(self, run: PartnerRun) -> str:
        return f"{PARTNER_NAMES[PartnerCode(run.partner)]}: {REFRESHED.get(PartnerCode(run.partner), 'calls')}"

    @admin.display(description="Status")
    def status_(self, run: PartnerRun) -> SafeString:
        return badge(RUN_TONES[PartnerRunStatus(run.status)], status_word(run.status))


@admin.register(PartnerCall)
class PartnerCallAdmin(ReadOnlyAdmin):
    list_display = ("subject", "run", "status_", "attempts", "outcome", "error_type", "error_message", "finished_at")
    list_select_related = ("run",)
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("subject__exact", "run__id__exact")
    search_help_text = "What was asked about, or the id of the run"
    ordering = ("-pk",)
    sortable_by = ()

    @admin.display(description="Status")
    def status_(self, call: PartnerCall) -> SafeString:
        return badge(CALL_TONES[PartnerCallStatus(call.status)], status_word(call.status))


@admin.register(PartnerAnswer)
class PartnerAnswerAdmin(ReadOnlyAdmin):
    list_display = ("partner", "endpoint", "parameters", "fetched_at", "fresh_until", "usable_until", "stale_uses")
    list_filter = (("partner", ChoicesDropdownFilter),)
    ordering = ("-fetched_at",)
    sortable_by = ()


@admin.register(TrackingEvent)
class TrackingEventAdmin(ReadOnlyAdmin):
    list_display = ("shipment", "status", "at", "event_id", "created_at")
    list_select_related = ("shipment",)
    search_fields = ("shipment__tracking_number__exact", "shipment__reference__exact")
    search_help_text = "Tracking number or reference"
    ordering = ("-pk",)
    sortable_by = ()
