"""The kinds of requests that wait for a second person: what each is about, and what whoever decides must see.

One entry for each command of `orders.services.deciding.WORK`. The pages, lists, answers and tests go over this table,
so a command that takes two people cannot be forgotten by one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Model, Q
from django.urls import reverse

from orders.amounts import money, price
from orders.models import Approval, Order, Payment, PlaybookVersion, Product, ReturnCase
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import ActivityStep, walk
from orders.playbooks.difference import Change, changes
from orders.selectors import playbooks
from orders.vocabulary import CommandKind
from orders.wording import order_word


@dataclass(frozen=True, kw_only=True)
class Fact:
    label: str
    value: str
    #: where it leads, if anywhere
    address: str = ""


@dataclass(frozen=True, kw_only=True)
class Kind:
    title: str
    #: the rows that show what waits about them; `about` finds the requests of one
    model: type[Model]
    about: Callable[[Any], Q]
    #: (name, address) of the page of what it is about
    subject: Callable[[Approval], tuple[str, str]]
    facts: Callable[[Approval], list[Fact]]
    #: what an approval does, with its amount, for the button
    does: Callable[[Approval], str]
    changes: Callable[[Approval], list[Change]] = lambda approval: []


def _order_page(approval: Approval) -> tuple[str, str]:
    return f"Order {approval.subject}", reverse("orders:page", args=[approval.subject])


def _refund(approval: Approval) -> list[Fact]:
    order = Order.objects.select_related("customer__key").get(pk=approval.parameters["order"])
    payment, amount, currency = Payment.objects.get(order=order), approval.parameters["amount_minor"], order.currency
    name, address = _order_page(approval)
    under_way = [Fact(label="Under way", value=money(payment.refunding_minor, currency))]
    return [
        Fact(label="Order", value=f"{name}, {_status(order)}", address=address),
        Fact(label="Customer", value=order.customer.reference if order.customer else "Guest"),
        Fact(label="Paid", value=money(payment.captured_minor, currency)),
        Fact(label="Refunded so far", value=money(payment.refunded_minor, currency)),
        *(under_way if payment.refunding_minor else []),
        Fact(label="To refund", value=money(amount, currency)),
        *_came_back(approval),
    ]


def _status(order: Order) -> str:
    return order_word(order.status, refund_outstanding=bool(order.refund_outstanding_minor)).lower()


def _came_back(approval: Approval) -> list[Fact]:
    if "return" not in approval.parameters:
        return []
    case = ReturnCase.objects.get(pk=approval.parameters["return"])
    lines = case.lines.filter(received__gt=0).select_related("order_line__product")
    pieces = ", ".join(f"{line.received} of {line.order_line.product.sku}" for line in lines[:10])
    return [Fact(label="Came back", value=f"{pieces}; counted by {case.received_by}")]


def _amount(approval: Approval) -> str:
    currency = Order.objects.values_list("currency", flat=True).get(pk=approval.parameters["order"])
    return f"refund {money(approval.parameters['amount_minor'], currency)}"


def _product_page(approval: Approval) -> tuple[str, str]:
    product = Product.objects.get(sku=approval.subject)
    return f"Product {product.sku}", reverse("admin:orders_product_change", args=[product.pk])


def _product(approval: Approval) -> list[Fact]:
    product = Product.objects.get(sku=approval.subject)
    name, address = _product_page(approval)
    was, becomes = (Decimal(approval.parameters[name]) for name in ("was", "unit_price"))
    facts = [
        Fact(label="Product", value=f"{name} {product.name}".strip(), address=address),
        Fact(label="Old price", value=price(was, product.currency)),
        Fact(label="New price", value=price(becomes, product.currency)),
    ]
    if was:
        facts.append(Fact(label="That is", value=f"{becomes / was * 100:.0f} % of the old price"))
    if product.name != approval.parameters["name"]:
        facts.append(Fact(label="New name", value=approval.parameters["name"]))
    return facts


def _new_price(approval: Approval) -> str:
    currency = Product.objects.values_list("currency", flat=True).get(sku=approval.subject)
    return f"set the price to {price(Decimal(approval.parameters['unit_price']), currency)}"


def _version(approval: Approval) -> PlaybookVersion:
    named = {"playbook__slug": approval.parameters["slug"], "number": approval.parameters["number"]}
    return PlaybookVersion.objects.select_related("playbook", "created_by").get(**named)


def _version_page(approval: Approval) -> tuple[str, str]:
    slug, number = approval.parameters["slug"], approval.parameters["number"]
    return f"Version {number} of {slug}", f"{reverse('orders:playbook', args=[slug])}?version={number}"


def _playbook(approval: Approval) -> list[Fact]:
    version, published = _version(approval), playbooks.choice(approval.parameters["slug"])
    name, address = _version_page(approval)
    steps = [step for _, step, _ in walk(playbooks.read(version).steps) if isinstance(step, ActivityStep)]
    does = dict.fromkeys(CATALOGUE[step.activity].title for step in steps)
    return [
        Fact(label="Playbook", value=f"{version.title}, {name.lower()}", address=address),
        Fact(label="Written by", value=version.created_by.get_username() if version.created_by else "nobody known"),
        Fact(label="Instead of", value=f"version {published.number}" if published else "nothing: none is published"),
        Fact(label="What it does", value=", ".join(does) or "nothing by itself"),
    ]


def _playbook_changes(approval: Approval) -> list[Change]:
    """From the published version, which new runs follow now."""
    published = playbooks.choice(approval.parameters["slug"])
    return changes(published.definition if published else None, playbooks.read(_version(approval)))


KINDS: Mapping[str, Kind] = {
    CommandKind.REFUND: Kind(
        title="Refund",
        model=Order,
        about=lambda order: Q(subject=order.number),
        subject=_order_page,
        facts=_refund,
        does=_amount,
    ),
    CommandKind.RETURN_REFUND: Kind(
        title="Refund of a return",
        model=Order,
        about=lambda order: Q(subject=order.number),
        subject=_order_page,
        facts=_refund,
        does=_amount,
    ),
    "change_product": Kind(
        title="Change of a product",
        model=Product,
        about=lambda product: Q(subject=product.sku),
        subject=_product_page,
        facts=_product,
        does=_new_price,
    ),
    "publish_playbook": Kind(
        title="Publication of a playbook",
        model=PlaybookVersion,
        about=lambda version: Q(subject=f"{version.playbook.slug} v{version.number}"),
        subject=_version_page,
        facts=_playbook,
        does=lambda approval: f"publish version {approval.parameters['number']}",
        changes=_playbook_changes,
    ),
}
