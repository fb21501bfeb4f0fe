"""Commands that need more than a reason: each asks on a page of its own, which says first what it will do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from orders.amounts import money
from orders.command_forms import Refused, empty, page_command, with_words
from orders.command_views import BUTTONS, ask_or_press, order_of
from orders.frames import in_frame, order_not_found
from orders.models import Order
from orders.vocabulary import SKIPPABLE_STEPS, StepName, StepStatus


@dataclass(frozen=True, kw_only=True)
class Page:
    title: str
    #: what will happen, as a sentence; None when the order is not in a state for it
    says: Callable[[Order], str | None]
    #: what the button says
    verb: Callable[[Order], str]
    icon: str
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


def _skip_verb(order: Order) -> str:
    return "The parcel is booked: go on" if _failing(order) is StepName.SHIP else "Skip the fraud partner"


PAGES: dict[str, Page] = {
    "step-skip": Page(
        title="Do without the partner",
        says=_skips,
        verb=_skip_verb,
        icon="skip_next",
        fields=lambda order: ("carrier", "tracking_number") if _failing(order) is StepName.SHIP else (),
    ),
    "payment-method": Page(
        title="Change the payment method",
        says=lambda order: (
            "What was begun with the old one is cancelled at the gateway before the new one is charged. If "
            "the old one has paid meanwhile, nothing is changed and the history says so."
        ),
        verb=lambda order: f"Change and charge {money(order.total_minor, order.currency)}",
        icon="credit_card",
        fields=lambda order: ("payment_method",),
    ),
}


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def ask(request: HttpRequest, number: str, command: str) -> HttpResponse:
    """GET asks; POST gives the command."""
    page, button = PAGES[command], BUTTONS[command]

    def shown(refused: Refused | None = None, status: int = 200) -> HttpResponse:
        order = order_of(number)
        if order is None:
            return order_not_found(request, number)
        says = page.says(order)
        if says is None:
            nothing = f"Order {number}: no step is failing that could be skipped."
            messages.warning(request, with_words(refused.form) if refused else nothing)
            return redirect("orders:page", number=number)
        form = empty(button.form, command, refused)
        needed = page.fields(order)
        for name in [name for name in form.fields if name not in {*needed, "reason"}]:
            del form.fields[name]
        for name in needed:
            form.fields[name].widget.is_required = form.fields[name].required = True
        form.order_fields([*needed, "reason"])
        context = {
            "order": order,
            "page": page,
            "says": says,
            "command": page_command(command, page.verb(order), page.icon, form),
        }
        return in_frame(request, "orders/command.html", f"{page.title}: {order.number}", context, status=status)

    return ask_or_press(request, number, command, shown)
