"""The pages of what waits for a second person: one request with its facts and both answers, and what one asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame
from orders.models import Approval
from orders.selectors import approvals as selectors
from orders.selectors.approval_kinds import KINDS
from orders.services import deciding
from orders.vocabulary import Channel
from orders.wording import status_word


class ApproveForm(forms.Form):
    reason = forms.CharField(max_length=500, required=False, label="Why you approve (may be left out)")


class DeclineForm(forms.Form):
    reason = forms.CharField(max_length=500, label="Why you decline; your colleague reads it")


@require_safe
@login_required
def asked(request: HttpRequest) -> HttpResponse:
    """What the reader asked for and what became of it."""
    found = selectors.asked_by(person(request.user, Channel.ADMIN))
    return in_frame(request, "orders/approvals/asked.html", "What I asked for", {"asked": found})


@require_safe
@login_required
def approval_page(request: HttpRequest, pk: UUID) -> HttpResponse:
    """The facts, who asked, when and why, and both answers for whoever may decide."""
    return _page(request, pk, approve=ApproveForm(auto_id="approve_%s"), decline=DeclineForm(auto_id="decline_%s"))


@require_POST
@login_required
def approve(request: HttpRequest, pk: UUID) -> HttpResponse:
    form = ApproveForm(request.POST, auto_id="approve_%s")
    return _decide(request, pk, deciding.approve, form, approve=form, decline=DeclineForm(auto_id="decline_%s"))


@require_POST
@login_required
def decline(request: HttpRequest, pk: UUID) -> HttpResponse:
    form = DeclineForm(request.POST, auto_id="decline_%s")
    return _decide(request, pk, deciding.decline, form, approve=ApproveForm(auto_id="approve_%s"), decline=form)


def _decide(
    request: HttpRequest, pk: UUID, decide: Callable[..., Approval], form: forms.Form, **both: forms.Form
) -> HttpResponse:
    actor = person(request.user, Channel.ADMIN)
    try:
        actor.require(selectors.DECIDE)
        if not selectors.visible_to(actor).filter(pk=pk).exists():
            return _not_found(request)
        if not form.is_valid():
            return _page(request, pk, status=400, **both)
        approval = decide(pk, actor=actor, reason=form.cleaned_data["reason"])
    except NotPermitted as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except InvalidInput as refusal:
        form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        return _page(request, pk, status=400, **both)
    except WrongState as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, f"{status_word(approval.status)}: {approval.says}")
    return redirect("orders:approval", pk=pk)


def _page(request: HttpRequest, pk: UUID, *, status: int = 200, **both: forms.Form) -> HttpResponse:
    actor = person(request.user, Channel.ADMIN)
    approval = selectors.visible_to(actor).filter(pk=pk).first()
    if approval is None:
        return _not_found(request)
    kind = KINDS[approval.command]
    name, address = kind.subject(approval)
    shown: dict[str, Any] = {
        "approval": approval,
        "kind": kind.title,
        "subject": {"name": name, "address": address},
        "tone": selectors.tone_of(approval),
        "word": selectors.word_of(approval),
        "facts": kind.facts(approval),
        "changes": kind.changes(approval),
        "people": selectors.people_of(approval),
        "is_waiting": selectors.is_waiting(approval),
        "is_own": approval.requested_by_id == request.user.pk,
        "may_decide": selectors.to_decide(actor).filter(pk=pk).exists(),
        "does": kind.does(approval),
        **{f"{name}_form": form for name, form in both.items()},
    }
    return in_frame(request, "orders/approvals/approval.html", approval.says, shown, status=status)


def _not_found(request: HttpRequest) -> HttpResponse:
    return in_frame(request, "orders/approvals/not_found.html", "No such request", {}, status=404)
