"""Batches: look before you act, watch, and pause, resume, cancel, retry or undo.

A selection arrives here as the list's own filter, and is built by the list's own code: what staff saw there is what is
shown here, and the count and sums of the last look come back with the click.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST, require_safe
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.admin.selecting import refused_selection, selection_of
from orders.amounts import counted, money, number
from orders.command_forms import OfferedCommand, ReasonForm, Refused, bound, empty, take, told_if_gone
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame
from orders.models import Batch
from orders.playbook_forms import InputsForm
from orders.playbooks.validation import InvalidPlaybook
from orders.polling import STOP_POLLING, polled
from orders.selectors import batches as reading
from orders.selectors import playbooks
from orders.services import batches
from orders.services.batches.downloading import items_csv
from orders.services.batches.selecting import Seen
from orders.services.selection import in_words
from orders.streaming import CSV, attachment
from orders.vocabulary import DEFAULT_AUTO_PAUSE_PERCENT, BatchAction, BatchStatus, Channel, ItemStatus
from orders.wording import status_word


class BatchForm(ReasonForm):
    auto_pause_percent = forms.IntegerField(
        min_value=0,
        max_value=100,
        initial=DEFAULT_AUTO_PAUSE_PERCENT,
        label="Pause by itself when this many per cent fail (0 for never)",
    )
    seen_count = forms.IntegerField(min_value=0, widget=forms.HiddenInput(attrs={"id": False}))
    seen_sums = forms.JSONField(widget=forms.HiddenInput(attrs={"id": False}))

    def show(self, seen: Seen) -> None:
        """Whoever sends the form again has seen this count and these sums, and not those of before."""
        self.initial.update(seen_count=seen.count, seen_sums=dict(seen.sums))
        if self.is_bound:
            now = {"seen_count": str(seen.count), "seen_sums": json.dumps(dict(seen.sums))}
            self.data = {**self.data.dict(), **now}  # type: ignore[attr-defined]

    def clean_seen_sums(self) -> dict[str, int]:
        sums = self.cleaned_data["seen_sums"]
        if not isinstance(sums, dict):
            raise forms.ValidationError("The sums that were shown are missing.")
        return sums


def _chosen(playbook: playbooks.Choice | None, inputs: InputsForm | None) -> batches.ChosenPlaybook | None:
    """As it was shown: a version that is published meanwhile is not what was looked at."""
    if playbook is None or inputs is None:
        return None
    return batches.ChosenPlaybook(slug=playbook.slug, version=playbook.number, inputs=inputs.values())


#: button -> (service, what is said when it was taken)
BUTTONS: dict[str, tuple[Callable[..., Batch], str]] = {
    "pause": (batches.pause, "Nothing new begins."),
    "resume": (batches.resume, "The batch goes on."),
    "cancel": (batches.cancel, "What has not begun never will."),
    "retry": (batches.retry_failed, "The failed items are done again."),
    "undo": (batches.undo, "This batch brings the orders back."),
}


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    list_display = ("title", "status_", "orders_", "sum_", "actor", "reason", "created_at", "finished_at")
    list_filter = (("status", ChoicesDropdownFilter), ("action", ChoicesDropdownFilter))
    list_select_related = ("playbook__playbook",)
    sortable_by = ()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("new/", view(self.new_view), name="orders_batch_new"),
            path("<uuid:batch_id>/live/", polled(self.live_view), name="orders_batch_live"),
            path("<uuid:batch_id>/items.csv", view(require_safe(self.items_view)), name="orders_batch_items"),
            *(
                path(
                    f"<uuid:batch_id>/{name}/",
                    view(require_POST(self.steer_view)),
                    {"button": name},
                    name=f"orders_batch_{name}",
                )
                for name in BUTTONS
            ),
            *super().get_urls(),
        ]

    # --- Looking and starting -----------------------------------------------------------------------------------------

    def new_view(self, request: HttpRequest) -> HttpResponse:
        """The preview of an action on the chosen orders, and the form that starts it."""
        actor = person(request.user, Channel.ADMIN)
        actor.require("orders.run_batch")
        if not request.user.has_perm("orders.view_order"):  # type: ignore[union-attr]
            raise PermissionDenied("This needs the permission orders.view_order.")
        try:
            selection = selection_of(request, self.admin_site)
        except InvalidInput as mistake:
            return refused_selection(request, "Batch", mistake)
        wanted = request.GET.get("action", "")
        action = BatchAction(wanted) if wanted in set(BatchAction) else None
        form = BatchForm(request.POST or None)
        playbook = playbooks.choice(request.GET.get("playbook", "").replace("\x00", "")) if self._runs(action) else None
        inputs = InputsForm(playbook.definition, request.POST or None) if playbook else None
        context: dict[str, Any] = {
            "offered": self._offered(request),
            "chosen_by": selection.words,
            "chosen": action,
            "form": form,
            "asked": request.GET.lists(),
            "playbooks": playbooks.choices() if self._runs(action) else [],
            "playbook": playbook,
            "inputs": inputs,
        }
        status = 200
        if (
            action is not None
            and request.method == "POST"
            and form.is_valid()
            and (inputs is None or inputs.is_valid())
        ):
            given = form.cleaned_data
            try:
                batch = batches.create(
                    selection,
                    action,
                    actor=actor,
                    reason=given["reason"],
                    seen=Seen(count=given["seen_count"], sums=given["seen_sums"]),
                    auto_pause_percent=given["auto_pause_percent"],
                    playbook=_chosen(playbook, inputs),
                )
            except (WrongState, InvalidInput, InvalidPlaybook) as refusal:
                context["refusal"], status = str(refusal), 409
            else:
                messages.success(request, "The orders are frozen; the batch goes on by itself from here.")
                return redirect("admin:orders_batch_change", batch.pk)
        elif request.method == "POST":
            context["refusal"], status = "Nothing was done. The form below says why.", 400
        if action is not None and (playbook is not None or not self._runs(action)):
            context |= self._preview(selection, action, actor)
            if "shown" in context:
                form.show(context["shown"].seen)
        return in_frame(request, "orders/batch_new.html", "Batch", context, status=status)

    def _runs(self, action: BatchAction | None) -> bool:
        return action is BatchAction.PLAYBOOK

    def _preview(self, selection: batches.Selection, action: BatchAction, actor: Any) -> dict[str, Any]:
        try:
            shown = batches.preview(selection, action, actor=actor)
        except InvalidInput as refusal:
            return {"refusal": str(refusal)}
        return {
            "rule": batches.ACTIONS[action],
            "shown": shown,
            "sum": reading.sums_in_words(dict(shown.seen.sums)),
            "excluded": [(reading.EXCLUSIONS[why], number(count)) for why, count in shown.excluded.items()],
            "sample": [(order, money(order.total_minor, order.currency)) for order in shown.sample],
        }

    def _offered(self, request: HttpRequest) -> list[batches.ActionRule]:
        return [rule for rule in batches.ACTIONS.values() if request.user.has_perm(rule.permission)]  # type: ignore[union-attr]

    # --- Watching -----------------------------------------------------------------------------------------------------

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        batch = self._visible(request, object_id)
        return self._shown(request, batch)

    def live_view(self, request: HttpRequest, batch_id: UUID) -> HttpResponse:
        batch = self._visible(request, str(batch_id))
        response = render(request, "orders/batch_live.html", {**self._live(request, batch), "polled": True})
        if batch.is_ended:
            response.status_code = STOP_POLLING
        return response

    def items_view(self, request: HttpRequest, batch_id: UUID) -> HttpResponseBase:
        batch = self._visible(request, str(batch_id))
        wanted = request.GET.get("status", "")
        if wanted and wanted not in set(ItemStatus):
            raise Http404("Items have no such status.")
        status = ItemStatus(wanted) if wanted else None
        return attachment(request, items_csv(batch, status=status), name=f"batch-{batch.pk}.csv", content_type=CSV)

    def steer_view(self, request: HttpRequest, batch_id: UUID, button: str) -> HttpResponse:
        service, taken = BUTTONS[button]
        actor = person(request.user, Channel.ADMIN)
        actor.require("orders.run_batch")

        def work(reason: str) -> HttpResponse:
            try:
                batch = service(batch_id, actor=actor, reason=reason)
            except Batch.DoesNotExist as error:
                raise Http404("There is no such batch.") from error
            messages.success(request, taken)
            return redirect("admin:orders_batch_change", batch.pk)

        def page(refused: Refused, status: int) -> HttpResponse:
            return self._shown(request, self._visible(request, str(batch_id)), refused, status)

        return take(request, bound(ReasonForm, button, request.POST), button, work, page)

    def _shown(
        self, request: HttpRequest, batch: Batch, refused: Refused | None = None, status: int = 200
    ) -> HttpResponse:
        context = self._live(request, batch, refused)
        told_if_gone(request, refused, context["buttons"])
        return in_frame(request, "orders/batch.html", str(self.title(batch)), context, status=status)

    def _live(self, request: HttpRequest, batch: Batch, refused: Refused | None = None) -> dict[str, Any]:
        now = reading.figures(batch)
        may = request.user.has_perm("orders.run_batch") and request.user.has_perm(  # type: ignore[union-attr]
            batches.ACTIONS[BatchAction(batch.action)].permission
        )
        return {
            "batch": batch,
            "heading": str(self.title(batch)),
            "status": status_word(batch.status),
            "tone": reading.TONES[BatchStatus(batch.status)],
            "now": now,
            "done": now.counts[ItemStatus.DONE],
            "failed": now.counts[ItemStatus.FAILED],
            "standing": reading.standing(batch, now),
            "sum": reading.sums_in_words(batch.sums),
            "chosen_by": in_words(batch.selection),
            "failures": reading.failures(batch) if now.counts[ItemStatus.FAILED] else [],
            "results": reading.results(batch),
            "left_out": reading.left_out(batch),
            "chart": reading.chart(batch),
            "steps": reading.steps_of(batch),
            "undone_by": Batch.objects.filter(undo_of=batch).first(),
            "buttons": self._buttons(batch, now, refused) if may else [],
        }

    def _buttons(self, batch: Batch, now: reading.Figures, refused: Refused | None) -> list[OfferedCommand]:
        found = []
        if batch.status in {BatchStatus.PREPARING, BatchStatus.RUNNING}:
            found.append(("pause", "Pause", "pause", ""))
        left = counted(max(0, now.to_do - now.ended), "order")
        if batch.status in {BatchStatus.PAUSING, BatchStatus.PAUSED}:
            found.append(("resume", "Resume", "play_arrow", f"{left} to go"))
        if not batch.is_ended and batch.status != BatchStatus.CANCELLING:
            found.append(("cancel", "Cancel the rest", "cancel", left))
        failed = now.counts[ItemStatus.FAILED]
        if batch.status in {BatchStatus.COMPLETED, BatchStatus.PAUSED} and failed:
            found.append(("retry", "Retry failed", "replay", counted(failed, "order")))
        undone = Batch.objects.filter(undo_of=batch).exists()
        if batch.is_ended and batches.ACTIONS[BatchAction(batch.action)].undo and not undone and now.ended:
            found.append(("undo", "Undo", "undo", counted(now.counts[ItemStatus.DONE], "order")))
        return [
            OfferedCommand(
                key=name,
                title=f"{title}…",
                verb=f"{title}: {moves}" if moves else title,
                icon=icon,
                address=reverse(f"admin:orders_batch_{name}", args=[batch.pk]),
                form=empty(ReasonForm, name, refused),
            )
            for name, title, icon, moves in found
        ]

    def _visible(self, request: HttpRequest, object_id: str) -> Batch:
        if not self.has_view_permission(request):
            refusal = NotPermitted("This needs the permission orders.view_batch.", permission="orders.view_batch")
            raise PermissionDenied(str(refusal)) from refusal
        try:
            return Batch.objects.get(pk=UUID(object_id))
        except (ValueError, Batch.DoesNotExist) as error:
            raise Http404("There is no such batch.") from error

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("orders.view_batch")  # type: ignore[union-attr]

    # --- Columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="Batch")
    def title(self, batch: Batch) -> str:
        undo = "Undo: " if batch.undo_of_id else ""
        what = f"{batch.playbook} on" if batch.playbook else reading.TITLES[BatchAction(batch.action)]
        return f"{undo}{what} {number(batch.item_count)} orders"

    @admin.display(description="Status")
    def status_(self, batch: Batch) -> SafeString:
        return badge(reading.TONES[BatchStatus(batch.status)], status_word(batch.status))

    @admin.display(description="Orders")
    def orders_(self, batch: Batch) -> str:
        return number(batch.item_count)

    @admin.display(description="Sum")
    def sum_(self, batch: Batch) -> str:
        return reading.sums_in_words(batch.sums)
