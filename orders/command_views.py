"""The buttons of an order's page: each gives one command with a reason, and says at once what became of it.

A table of buttons, because a view of its own for each is how one of them comes to forget the permission or the lock.
The services do both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods, require_POST

from orders.actor import person
from orders.amounts import money
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.frames import in_frame, order_not_found
from orders.models import Order, ReturnCase
from orders.services import (
    cancelling,
    holding,
    notices,
    payment_methods,
    placing,
    placing_again,
    refunding,
    reviewing,
    skipping,
    stepping,
)
from orders.services.reviewing import MAX_EXTENSION_HOURS
from orders.vocabulary import MINOR_UNITS_PER_MAJOR, Channel, OrderStatus


class ReasonForm(forms.Form):
    reason = forms.CharField(max_length=500)


class OptionalReasonForm(forms.Form):
    reason = forms.CharField(max_length=500, required=False)


class QuestionForm(forms.Form):
    reason = forms.CharField(max_length=500, label="question")


class ExtendForm(ReasonForm):
    hours = forms.IntegerField(min_value=1, max_value=MAX_EXTENSION_HOURS)


class HoldForm(ReasonForm):
    until = forms.DateTimeField(required=False, label="hold until")


class PauseForm(ReasonForm):
    minutes = forms.IntegerField(min_value=1, required=False)


class SkipForm(ReasonForm):
    carrier = forms.CharField(max_length=64, required=False)
    tracking_number = forms.CharField(max_length=64, required=False)


class PaymentMethodForm(ReasonForm):
    payment_method = forms.CharField(max_length=128, label="The gateway's token (pm_…)")


class RefundForm(ReasonForm):
    amount = forms.DecimalField(max_digits=12, decimal_places=2, min_value=Decimal("0.01"))
    #: what the person saw as refundable: a second click, or a colleague's refund in between, is told
    left_minor = forms.IntegerField(min_value=0)


@dataclass(frozen=True, kw_only=True)
class Button:
    """One command that the page offers; `service` takes the number, an actor and the form's fields."""

    service: Callable[..., Any]
    form: type[forms.Form]
    permission: str
    #: said when it was taken; {number} is the order's, {made} what the service answered
    taken: str
    #: the reason that is kept when the person gave none
    unsaid: str = ""


def _ask(number: str, *, actor: Any, reason: str) -> Any:
    return reviewing.ask(number, question=reason, actor=actor)


def _refund(number: str, *, actor: Any, reason: str, amount: Decimal, left_minor: int) -> Any:
    minor = int(amount * MINOR_UNITS_PER_MAJOR)
    return refunding.request(number, amount_minor=minor, left_minor=left_minor, actor=actor, reason=reason)


BUTTONS: dict[str, Button] = {
    "start": Button(
        service=placing.start,
        form=OptionalReasonForm,
        permission="orders.start_order",
        taken="Processing of {number} was asked for. It goes on by itself from here.",
        unsaid="Processing requested",
    ),
    "place-again": Button(
        service=placing_again.place_again,
        form=ReasonForm,
        permission="orders.place_order",
        taken="{number} was placed again as {made}.",
    ),
    "hold": Button(
        service=holding.hold,
        form=HoldForm,
        permission="orders.hold_order",
        taken="{number} stands still before its next step.",
    ),
    "release": Button(
        service=holding.release, form=ReasonForm, permission="orders.hold_order", taken="{number} goes on."
    ),
    "cancel": Button(
        service=cancelling.cancel,
        form=ReasonForm,
        permission="orders.cancel_order",
        taken="{number} is cancelled; this page shows what is undone.",
    ),
    "step-retry": Button(
        service=stepping.retry,
        form=ReasonForm,
        permission="orders.drive_step",
        taken="The step of {number} is tried again at once.",
    ),
    "step-pause": Button(
        service=stepping.pause,
        form=PauseForm,
        permission="orders.drive_step",
        taken="{number}: no further attempt is made until the pause is over or somebody resumes the step.",
    ),
    "step-resume": Button(
        service=stepping.resume,
        form=ReasonForm,
        permission="orders.drive_step",
        taken="The step of {number} goes on at once.",
    ),
    "step-skip": Button(
        service=skipping.skip,
        form=SkipForm,
        permission="orders.skip_step",
        taken="{number}: the step does without the partner from its next attempt on.",
    ),
    "payment-method": Button(
        service=payment_methods.change,
        form=PaymentMethodForm,
        permission="orders.change_payment_method",
        taken="{number} is charged with the new payment method, unless the old one has paid already.",
    ),
    "refund": Button(
        service=_refund,
        form=RefundForm,
        permission="orders.refund_order",
        taken="The refund of {number} is recorded: it goes to the gateway, or to a second person above the limit.",
    ),
    "refund-retry": Button(
        service=refunding.retry,
        form=ReasonForm,
        permission="orders.refund_order",
        taken="The refund of {number} is tried again.",
    ),
    "notice-send": Button(
        service=notices.send_again,
        form=ReasonForm,
        permission="orders.send_notice",
        taken="The mail about {number} is sent again.",
    ),
    "review-claim": Button(
        service=reviewing.claim,
        form=OptionalReasonForm,
        permission="orders.decide_review",
        taken="The case of {number} is yours.",
        unsaid="Claimed",
    ),
    "review-ask": Button(
        service=_ask, form=QuestionForm, permission="orders.decide_review", taken="The question is noted on {number}."
    ),
    "review-extend": Button(
        service=reviewing.extend,
        form=ExtendForm,
        permission="orders.extend_review",
        taken="The case of {number} has more time.",
    ),
    "review-approve": Button(
        service=reviewing.approve,
        form=ReasonForm,
        permission="orders.decide_review",
        taken="Your approval of {number} is recorded.",
    ),
    "review-reject": Button(
        service=reviewing.reject,
        form=ReasonForm,
        permission="orders.decide_review",
        taken="{number} is rejected; its stock is given back.",
    ),
}


@require_POST
@login_required
def give(request: HttpRequest, number: str, command: str) -> HttpResponse:
    """Give the command; a second click is told who was first and when."""
    return press(request, number, BUTTONS[command])


def press(request: HttpRequest, number: str, button: Button) -> HttpResponse:
    """Do what the button says with the form that was sent, and go back to the order's page."""
    if not request.user.has_perm(button.permission):  # type: ignore[union-attr]
        raise PermissionDenied(f"This needs the permission {button.permission}.")
    form = button.form(request.POST)
    if not form.is_valid():
        for field, problems in form.errors.items():
            messages.error(request, f"Nothing was done. {field.capitalize()}: {' '.join(map(str, problems))}")
        return redirect("orders:page", number=number)
    if "\x00" in number:  # PostgreSQL refuses the question itself
        return order_not_found(request, number)
    given = dict(form.cleaned_data)
    given["reason"] = given["reason"].strip() or button.unsaid
    try:
        made = button.service(number, actor=person(request.user, Channel.ADMIN), **given)
    except (Order.DoesNotExist, ReturnCase.DoesNotExist):
        return order_not_found(request, number)
    except NotPermitted as refusal:
        raise PermissionDenied(str(refusal)) from refusal
    except (WrongState, InvalidInput) as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(request, button.taken.format(number=number, made=made))
    return redirect("orders:page", number=number)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    """GET shows what a cancellation would do; POST does it."""
    if request.method == "POST":
        return give(request, number, "cancel")
    if not request.user.has_perm("orders.cancel_order"):  # type: ignore[union-attr]
        raise PermissionDenied("This needs the permission orders.cancel_order.")
    order = None if "\x00" in number else Order.objects.filter(number=number).first()
    if order is None:
        return order_not_found(request, number)
    try:
        plan = cancelling.plan(order)
    except WrongState as refusal:
        messages.warning(request, str(refusal))
        return redirect("orders:page", number=number)
    return in_frame(request, "orders/cancel.html", f"Cancel {order.number}", {"order": order, "plan": plan})


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def refund(request: HttpRequest, number: str) -> HttpResponse:
    """GET shows what may be refunded; POST asks for it."""
    if request.method == "POST":
        return give(request, number, "refund")
    if not request.user.has_perm("orders.refund_order"):  # type: ignore[union-attr]
        raise PermissionDenied("This needs the permission orders.refund_order.")
    order = None if "\x00" in number else Order.objects.filter(number=number).select_related("payment").first()
    if order is None:
        return order_not_found(request, number)
    if order.status != OrderStatus.COMPLETED or not order.payment.left_minor:
        messages.warning(request, f"Nothing of order {number} can be refunded.")
        return redirect("orders:page", number=number)
    left = order.payment.left_minor
    shown = {
        "order": order,
        "left_minor": left,
        "left": money(left, order.currency),
        "amount": f"{left // MINOR_UNITS_PER_MAJOR}.{left % MINOR_UNITS_PER_MAJOR:02}",
    }
    return in_frame(request, "orders/refund.html", f"Refund {order.number}", shown)
