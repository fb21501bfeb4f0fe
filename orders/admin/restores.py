"""What a restored database does not have as it is: one row each, with the decisions that fit."""

from __future__ import annotations

from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import action
from unfold.widgets import UnfoldAdminTextInputWidget, UnfoldBooleanWidget

from orders.actor import person
from orders.admin.dialogs import RowDialog
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.amounts import money
from orders.errors import InvalidInput, WrongState
from orders.models import RestoreDifference
from orders.services import restored
from orders.vocabulary import Channel, RestoreDecision
from orders.wording import Tone, status_word


class RestoreDialog(RowDialog[RestoreDifference]):
    model = RestoreDifference
    note = forms.CharField(max_length=500, widget=UnfoldAdminTextInputWidget, help_text="What was decided, and why.")
    for_all = forms.BooleanField(
        required=False, widget=UnfoldBooleanWidget, help_text="Decide so about all that it fits, not this one alone."
    )

    def about(self, row: RestoreDifference) -> str:
        return f"{row.name}: the gateway took {_taken(row)}" if _taken(row) else row.name


class UndoDialog(RestoreDialog):
    def amount(self, row: RestoreDifference) -> str:
        return f"gives back {_taken(row)}" if row.taken_minor and _taken(row) else ""


def _taken(row: RestoreDifference) -> str:
    return money(row.taken_minor, row.currency) if row.currency else ""


class DecidedFilter(DropdownFilter):
    title = "standing"
    parameter_name = "decided"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        return [("no", "To decide"), ("yes", "Decided")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[RestoreDifference]) -> QuerySet[RestoreDifference]:
        if self.value() == "no":
            return queryset.filter(decision="")
        return queryset.exclude(decision="") if self.value() == "yes" else queryset


def _dialog(title: str, button: str, form: type[RestoreDialog] = RestoreDialog) -> dict[str, object]:
    return {"title": title, "form_class": form, "form_submit_text": button}


@admin.register(RestoreDifference)
class RestoreDifferenceAdmin(ReadOnlyAdmin):
    list_display = ("standing", "name", "kind", "taken", "has_parcel", "found_at", "decided_by", "note")
    list_display_links = None
    list_filter = (DecidedFilter,)
    search_fields = ("name__exact", "payment_reference__exact")
    search_help_text = "Order number, run, or payment at the gateway"
    ordering = ("-found_at", "-id")
    sortable_by = ()
    actions_row = ("undo", "finish", "again", "keep")

    def has_decide_restore_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return request.user.has_perm("orders.decide_restore")  # type: ignore[union-attr]

    @action(  # type: ignore[untyped-decorator]
        description="Undo",
        permissions=["decide_restore"],
        icon="undo",
        dialog=_dialog("Cancel its parcel and give its money back", "Undo", UndoDialog),
    )
    def undo(self, request: HttpRequest, form: RestoreDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, RestoreDecision.UNDO)

    @action(  # type: ignore[untyped-decorator]
        description="Finish",
        permissions=["decide_restore"],
        icon="done_all",
        dialog=_dialog("Go through its steps again: what was done is found at the partners", "Finish"),
    )
    def finish(self, request: HttpRequest, form: RestoreDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, RestoreDecision.FINISH)

    @action(  # type: ignore[untyped-decorator]
        description="Start again",
        permissions=["decide_restore"],
        icon="replay",
        dialog=_dialog("Start its process again", "Start again"),
    )
    def again(self, request: HttpRequest, form: RestoreDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, RestoreDecision.AGAIN)

    @action(  # type: ignore[untyped-decorator]
        description="Keep",
        permissions=["decide_restore"],
        icon="check",
        dialog=_dialog("Keep it as it is", "Keep"),
    )
    def keep(self, request: HttpRequest, form: RestoreDialog, object_id: str) -> HttpResponse:
        return self._decide(request, form, object_id, RestoreDecision.KEEP)

    def _decide(
        self, request: HttpRequest, form: RestoreDialog, object_id: str, decision: RestoreDecision
    ) -> HttpResponse:
        try:
            found = RestoreDifference.objects.get(pk=UUID(object_id))
            decided = restored.decide(
                decision,
                note=form.cleaned_data["note"],
                names=() if form.cleaned_data["for_all"] else (found.name,),
                actor=person(request.user, Channel.ADMIN),
            )
        except (ValueError, RestoreDifference.DoesNotExist):
            messages.error(request, "There is no such difference.")
        except (WrongState, InvalidInput) as refusal:
            messages.warning(request, str(refusal))
        else:
            messages.success(request, f"Decided about {decided.done}. It is done once the task is resolved.")
            for name, why in list(decided.refused.items())[:3]:
                messages.warning(request, f"{name}: {why}")
        target = reverse("admin:orders_restoredifference_changelist") + "?decided=no"
        return HttpResponse(headers={"HX-Redirect": target}) if request.headers.get("HX-Request") else redirect(target)

    @admin.display(description="Standing")
    def standing(self, found: RestoreDifference) -> SafeString:
        return badge(Tone.DONE, status_word(found.decision)) if found.decision else badge(Tone.TROUBLE, "To decide")

    @admin.display(description="The gateway took")
    def taken(self, found: RestoreDifference) -> str:
        if found.asked_at is None and not found.decision:
            return "not asked yet"
        return _taken(found)
