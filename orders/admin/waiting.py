"""Admin forms whose command may wait for a second person: the page then says so, instead of "changed"."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from orders.actor import person
from orders.admin.reading import HonestActions, ReadOnlyAdmin
from orders.errors import WrongState
from orders.models import Approval
from orders.selectors import approvals
from orders.vocabulary import Channel


class WaitingShown(HonestActions):
    """What waits for a second person stands above the form of its subject, and all of it above the list."""

    change_form_before_template = "orders/approvals/waiting.html"
    list_before_template = "orders/approvals/above_list.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        obj = self.get_object(request, object_id)
        waiting = approvals.waiting_on(obj, reader=person(request.user, Channel.ADMIN)) if obj else []
        shown = {**(extra_context or {}), "waiting": waiting}
        return cast(HttpResponse, super().change_view(request, object_id, form_url, shown))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        waiting = approvals.waiting_about(self.model, reader=person(request.user, Channel.ADMIN))
        return super().changelist_view(request, {**(extra_context or {}), "waiting": waiting})


class MayWaitAdmin(WaitingShown, ReadOnlyAdmin):
    """Forms saved by `give`, which answers the request when the command waits."""

    def give(self, request: HttpRequest, obj: Model, form: Any, *, is_new: bool) -> Approval | None:
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        try:
            waiting = self.give(request, obj, form, is_new=not change)
            said = f"{waiting.says} It waits for a second person." if waiting else ""
        except WrongState as refusal:
            said = str(refusal)
        request.not_saved = said  # type: ignore[attr-defined]

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return None if request.not_saved else super().log_change(request, obj, message)  # type: ignore[attr-defined]

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        return None if request.not_saved else super().log_addition(request, obj, message)  # type: ignore[attr-defined]

    def response_change(self, request: HttpRequest, obj: Model) -> HttpResponse:
        return self._waits(request) or cast(HttpResponse, super().response_change(request, obj))

    def response_add(self, request: HttpRequest, obj: Model, post_url_continue: str | None = None) -> HttpResponse:
        return self._waits(request) or cast(HttpResponse, super().response_add(request, obj, post_url_continue))

    def _waits(self, request: HttpRequest) -> HttpResponse | None:
        if not request.not_saved:  # type: ignore[attr-defined]
            return None
        messages.warning(request, request.not_saved)  # type: ignore[attr-defined]
        return redirect(reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_changelist"))
