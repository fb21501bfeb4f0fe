"""Commands that need more than a reason: each asks on a page of its own, which says first what it will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from orders.command_views import BUTTONS, give
from orders.frames import in_frame, order_not_found
from orders.models import Order
from orders.vocabulary import SKIPPABLE_STEPS, StepName, StepStatus


@dataclass(frozen=True, kw_only=True)
class Page:
    title: str
    #: what will happen, as a sentence; None when the order is not in a state for it
    says: Callable[[Order], str | None]
    button: str
    #: the fields of the button's form that this order needs besides the reason
    fields: Callable[[Order], tuple[str, ...]]


def _failing(order: Order) -> StepName | None:
    open_steps = order.steps.filter(status=StepStatus.OPEN, name__in=SKIPPABLE_STEPS)
    step = open_steps.exclude(last_error="").first()
    return StepName(step.name) if step is not None and not order.is_terminal else None


SKIPS: Mapping[StepName, str] = {
    StepName.FRAUD: "The fraud partner is not asked about this order. Our own rules still count, and the history says "
    "who left the partner out and why.",
    StepName.SHIP: "Book the parcel with a carrier by hand first, and say here under which number. Our own booking is "
    "cancelled at our carrier before yours counts, so that no second parcel leaves; the order goes on when the carrier "
    "has answered that.",
}


def _skips(order: Order) -> str | None:
    step = _failing(order)
    return SKIPS[step] if step else None


PAGES: dict[str, Page] = {
    "step-skip": Page(
        title="Do without the partner",
        says=_skips,
        button="Skip",
        fields=lambda order: ("carrier", "tracking_number") if _failing(order) is StepName.SHIP else (),
    ),
    "payment-method": Page(
        title="Change the payment method",
        says=lambda order: (
            "What was begun with the old one is cancelled at the gateway before the new one is charged. If "
            "the old one has paid meanwhile, nothing is changed and the history says so."
        ),
        button="Change",
        fields=lambda order: ("payment_method",),
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def ask(request: HttpRequest, number: str, command: str) -> HttpResponse:
    """GET asks; POST gives the command."""
    if request.method == "POST":
        return give(request, number, command)
    page, button = PAGES[command], BUTTONS[command]
    if not request.user.has_perm(button.permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {button.permission}.")
    order = None if "\x00" in number else Order.objects.filter(number=number).first()
    if order is None:
        return order_not_found(request, number)
    says = page.says(order)
    if says is None:
        messages.warning(request, f"Order {number}: no step is failing that could be skipped.")
        return redirect("orders:page", number=number)
    form = button.form()
    shown: list[forms.BoundField] = [form[name] for name in (*page.fields(order), "reason")]
    context = {"order": order, "page": page, "says": says, "fields": shown}
    return in_frame(request, "orders/command.html", f"{page.title}: {order.number}", context)
