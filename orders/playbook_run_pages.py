"""The pages of runs: start one on an order, watch it, drive it.

Commands are a table, as on the order's page: permission, lock and refusal are the services', and a button that is added
here cannot forget them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from orders.actor import person
from orders.command_forms import (
    OfferedCommand,
    ReasonForm,
    Refused,
    bound,
    empty,
    key_of,
    line,
    take,
    told_if_gone,
)
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame, order_not_found
from orders.models import Order, PlaybookRun
from orders.playbook_forms import PREFIX, InputsForm
from orders.playbook_sentences import RUN_TONES
from orders.playbooks.validation import InvalidPlaybook
from orders.polling import STOP_POLLING, polled
from orders.selectors import playbook_runs, playbooks
from orders.services.playbooks import running
from orders.vocabulary import ENDED_PLAYBOOK_RUNS, Channel, PlaybookRunStatus
from orders.wording import status_word

VIEW, RUN = "orders.view_playbookrun", "orders.run_playbook"


class StepForm(ReasonForm):
    path = forms.CharField(max_length=200, widget=forms.HiddenInput)


class AnswerForm(forms.Form):
    path = forms.CharField(max_length=200, widget=forms.HiddenInput)
    option = forms.CharField(max_length=40, widget=forms.HiddenInput)
    reason = forms.CharField(max_length=500, required=False, label="Note (may be left out)", widget=line())


@dataclass(frozen=True, kw_only=True)
class Button:
    """`service` takes the run's id, an actor and the form's fields."""

    service: Callable[..., PlaybookRun]
    form: type[forms.Form]
    permission: str
    taken: str


DRIVE = "orders.drive_playbook"
BUTTONS: dict[str, Button] = {
    "pause": Button(service=running.pause, form=ReasonForm, permission=DRIVE, taken="{run}: no further step begins."),
    "resume": Button(service=running.resume, form=ReasonForm, permission=DRIVE, taken="{run} goes on."),
    "cancel": Button(
        service=running.cancel, form=ReasonForm, permission=DRIVE, taken="{run} ends; what it did is undone."
    ),
    "retry": Button(service=running.retry, form=StepForm, permission=DRIVE, taken="{run}: the step is tried again."),
    "skip": Button(service=running.skip, form=StepForm, permission=DRIVE, taken="{run}: the step is left out."),
    "answer": Button(service=running.answer, form=AnswerForm, permission=RUN, taken="{run}: your answer is recorded."),
}


@require_POST
@login_required
def give(request: HttpRequest, pk: UUID, command: str) -> HttpResponse:
    """Give the command; a second click is told who was first and when."""
    button = BUTTONS[command]
    _require(request, button.permission)
    run = playbook_runs.find(pk)
    if run is None:
        return _no_run(request, pk)
    key = key_of(command, request.POST.get("path", ""), request.POST.get("option", ""))

    def work(**given: Any) -> HttpResponse:
        button.service(pk, actor=person(request.user, Channel.ADMIN), **given)
        messages.success(request, button.taken.format(run=run.version))
        return redirect("orders:playbook-run", pk=pk)

    def page(refused: Refused, status: int) -> HttpResponse:
        return _shown(request, pk, refused, status)

    form = bound(button.form, key, request.POST)
    try:
        return take(request, form, key, work, page)
    except NotPermitted as refusal:
        form.add_error(None, str(refusal))
        return page(Refused(key=key, form=form), 403)


@require_safe
@login_required
def run_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _shown(request, pk)


def _shown(request: HttpRequest, pk: UUID, refused: Refused | None = None, status: int = 200) -> HttpResponse:
    _require(request, VIEW)
    run = playbook_runs.find(pk)
    if run is None:
        return _no_run(request, pk)
    shown = _context(request, run, refused)
    told_if_gone(request, refused, [*shown["buttons"], *(one for _, found in shown["decisions"] for one in found)])
    return in_frame(
        request, "orders/playbooks/run.html", f"{run.version.title} on {run.order.number}", shown, status=status
    )


def _context(request: HttpRequest, run: PlaybookRun, refused: Refused | None = None) -> dict[str, Any]:
    view = playbook_runs.view(run, may=_may(request))
    return {
        "view": view,
        "run": run,
        "buttons": [_command(button, refused) for button in view.buttons],
        "decisions": [
            (decision, [_command(button, refused, decision) for button in decision.buttons])
            for decision in view.decisions
        ],
    }


def _command(
    button: playbook_runs.Button, refused: Refused | None, decision: playbook_runs.Decision | None = None
) -> OfferedCommand:
    path = decision.path if decision else ""
    key = key_of(button.name, path, button.option)
    verb = f"Answer: {button.title}" if button.option else button.title
    return OfferedCommand(
        key=key,
        title=f"{button.title}…",
        verb=f"{verb} ({decision.title})" if decision else f"{verb} the run" if button.name != "cancel" else verb,
        icon=button.icon,
        address=button.address,
        form=empty(BUTTONS[button.name].form, key, refused, path=path, option=button.option),
        primary=button.primary,
    )


@require_GET
@polled
def run_live(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The part that polls: 304 while nothing changed, 286 when nothing will change any more."""
    _require(request, VIEW)
    run = playbook_runs.find(pk)
    if run is None:
        return HttpResponse(status=404)
    context = _context(request, run)
    view = context["view"]
    etag = f'"{view.etag}"'
    if request.headers.get("If-None-Match") == etag and not view.is_over:
        return HttpResponse(status=304, headers={"ETag": etag})
    response = render(request, "orders/playbooks/run_live.html", {**context, "polled": True})
    response["ETag"] = etag
    if view.is_over:
        response.status_code = STOP_POLLING
    return response


@require_GET
@polled
def order_runs(request: HttpRequest, number: str) -> HttpResponse:
    """The runs of an order, as a part of its page."""
    _require(request, VIEW)
    order = _order(number)
    if order is None:
        return HttpResponse(status=404)
    runs = playbooks.runs_of_order(order)
    told = [
        {"run": run, "tone": RUN_TONES[PlaybookRunStatus(run.status)], "word": status_word(run.status)} for run in runs
    ]
    response = render(request, "orders/playbooks/order_runs.html", {"runs": told, "order": order})
    if order.is_terminal and all(run.status in ENDED_PLAYBOOK_RUNS for run in runs):
        response.status_code = STOP_POLLING
    return response


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def start(request: HttpRequest, number: str) -> HttpResponse:
    """GET asks which playbook, then what it wants to know; POST runs it."""
    _require(request, RUN)
    order = _order(number)
    if order is None:
        return order_not_found(request, number)
    said = request.POST if request.method == "POST" else request.GET
    slug = said.get("playbook", "").replace("\x00", "")
    chosen = playbooks.choice(slug) if slug else None
    if slug and chosen is None:
        messages.warning(request, f"There is no published playbook {slug[:40]}.")
    if chosen is None:
        shown = {"order": order, "choices": playbooks.choices()}
        return in_frame(request, "orders/playbooks/choose.html", f"Run a playbook on {order.number}", shown)
    form = InputsForm(chosen.definition, request.POST if request.method == "POST" else None)
    form.fields["reason"] = forms.CharField(max_length=500, label="Reason, kept in the history")
    if request.method == "POST" and form.is_valid():
        run = _begun(request, order, chosen, form)
        if run is not None:
            return redirect("orders:playbook-run", pk=run.pk)
    shown = {"order": order, "choice": chosen, "form": form}
    return in_frame(request, "orders/playbooks/start.html", f"{chosen.title} on {order.number}", shown)


def _begun(request: HttpRequest, order: Order, chosen: playbooks.Choice, form: InputsForm) -> PlaybookRun | None:
    """The run; None when it was refused, with the reason on the form."""
    try:
        run = running.start(
            order.number,
            chosen.slug,
            actor=person(request.user, Channel.ADMIN),
            reason=form.cleaned_data["reason"],
            inputs=form.values(),
            version=chosen.number,
        )
    except InvalidPlaybook as refusal:
        for problem in refusal.problems:
            field = f"{PREFIX}{problem.path.removeprefix('inputs.')}"
            form.add_error(field if field in form.fields else None, problem.message)
    except (WrongState, InvalidInput, NotPermitted) as refusal:
        form.add_error(None, str(refusal))
    else:
        messages.success(request, f"{run.version} was started on {order.number}.")
        return run
    return None


def _order(number: str) -> Order | None:
    return None if "\x00" in number else Order.objects.filter(number=number).first()


def _no_run(request: HttpRequest, pk: UUID) -> HttpResponse:
    return in_frame(request, "orders/playbooks/not_found.html", "No such run", {"what": f"run {pk}"}, status=404)


def _may(request: HttpRequest) -> Any:
    return request.user.has_perm  # type: ignore[union-attr]


def _require(request: HttpRequest, permission: str) -> None:
    if not request.user.has_perm(permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {permission}.")
