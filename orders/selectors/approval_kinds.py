"""The kinds of requests that wait for a second person: what each is about, and what whoever decides must see.

One entry for each command of `orders.services.deciding.WORK`. The pages, lists, answers and tests go over this table,
so a command that takes two people cannot be forgotten by one of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.contrib.auth.models import Group, User
from django.db.models import Model, Q
from django.urls import reverse

from orders.amounts import money, price
from orders.models import (
    Approval,
    FraudRules,
    Order,
    PartnerEndpoint,
    Payment,
    Playbook,
    PlaybookVersion,
    Product,
    ReturnCase,
)
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import ActivityStep, walk
from orders.playbooks.difference import Change, changes, of_values
from orders.selectors import playbooks
from orders.vocabulary import ApprovalStatus, CommandKind
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
    facts = [
        Fact(label="Playbook", value=f"{version.title}, {name.lower()}", address=address),
        Fact(label="Written by", value=version.created_by.get_username() if version.created_by else "nobody known"),
        Fact(label="What it does", value=", ".join(does) or "nothing by itself"),
    ]
    if approval.status == ApprovalStatus.WAITING:
        # Afterwards the published one is this version, or any that came later.
        instead = f"version {published.number}" if published else "nothing: none is published"
        facts.insert(2, Fact(label="Instead of", value=instead))
    return facts


def _playbook_changes(approval: Approval) -> list[Change]:
    """From the published version, which new runs follow now."""
    published = playbooks.choice(approval.parameters["slug"])
    return changes(published.definition if published else None, playbooks.read(_version(approval)))


def _playbook_page(approval: Approval) -> tuple[str, str]:
    slug = approval.parameters["slug"]
    return f"Playbook {slug}", reverse("orders:playbook", args=[slug])


def _start(approval: Approval) -> list[Fact]:
    asked, published = approval.parameters, playbooks.choice(approval.parameters["slug"])
    name, address = _playbook_page(approval)
    when = f"At {asked['event']}" if "event" in asked else f"Every {asked['every_hours']} h, on each open order"
    return [
        Fact(label="Playbook", value=f"{published.title}, {name.lower()}" if published else name, address=address),
        Fact(label="It would start", value=when),
        Fact(label="If", value=asked["condition"]),
    ]


def _start_changes(approval: Approval) -> list[Change]:
    names = ("every_hours", "condition", "enabled")
    after = {name: approval.parameters[name] for name in names if name in approval.parameters}
    return of_values("What starts it", approval.parameters["was"], after)


def _endpoint_page(approval: Approval) -> tuple[str, str]:
    """The list, as long as the endpoint is not there."""
    name = approval.parameters["name"]
    pk = PartnerEndpoint.objects.filter(name=name).values_list("pk", flat=True).first()
    list_page = reverse("admin:orders_partnerendpoint_changelist")
    return f"Endpoint {name}", reverse("admin:orders_partnerendpoint_change", args=[pk]) if pk else list_page


def _endpoint(approval: Approval) -> list[Fact]:
    name, address = _endpoint_page(approval)
    was = approval.parameters["was"]
    return [
        Fact(label="Endpoint", value=name, address=address),
        Fact(label="Old address", value=was["url"] if was else "nothing: the name is new"),
        Fact(label="New address", value=approval.parameters["url"]),
    ]


def _endpoint_changes(approval: Approval) -> list[Change]:
    after = {name: approval.parameters[name] for name in ("url", "enabled")}
    return of_values("The endpoint", approval.parameters["was"], after)


def _account_page(approval: Approval) -> tuple[str, str]:
    user = User.objects.get(username=approval.parameters["username"])
    return f"Account {user}", reverse("admin:auth_user_change", args=[user.pk])


def _account(approval: Approval) -> list[Fact]:
    name, address = _account_page(approval)
    user = User.objects.get(username=approval.parameters["username"])
    roles = ", ".join(user.groups.order_by("name").values_list("name", flat=True))
    return [
        Fact(label="Account", value=name, address=address),
        Fact(label="Made", value=f"{user.date_joined:%Y-%m-%d}"),
        Fact(label="Roles now", value=roles or "none"),
    ]


def _account_changes(approval: Approval) -> list[Change]:
    return of_values("The account", approval.parameters["was"], approval.parameters["becomes"])


def _group_page(approval: Approval) -> tuple[str, str]:
    """The list, when the group is gone."""
    name = approval.parameters["name"]
    pk = Group.objects.filter(name=name).values_list("pk", flat=True).first()
    list_page = reverse("admin:auth_group_changelist")
    return f"Group {name}", reverse("admin:auth_group_change", args=[pk]) if pk else list_page


def _group(approval: Approval) -> list[Fact]:
    name, address = _group_page(approval)
    members = User.objects.filter(groups__name=approval.parameters["name"], is_active=True)
    names = ", ".join(members.order_by("username").values_list("username", flat=True)[:20])
    return [Fact(label="Group", value=name, address=address), Fact(label="Members", value=names or "none")]


def _group_changes(approval: Approval) -> list[Change]:
    was, becomes = approval.parameters["was"], approval.parameters["becomes"]
    return of_values("The group", {"permissions": was}, {"permissions": becomes})


def _rules_page(approval: Approval) -> tuple[str, str]:
    return "Fraud rules", reverse("admin:orders_fraudrules_changelist")


def _rules(approval: Approval) -> list[Fact]:
    name, address = _rules_page(approval)
    return [
        Fact(label="Rules", value=f"{name}, instead of version {approval.parameters['instead_of']}", address=address)
    ]


def _rules_changes(approval: Approval) -> list[Change]:
    after = approval.parameters["values"]
    before = FraudRules.objects.get(pk=approval.parameters["instead_of"])
    return of_values("The fraud rules", {name: getattr(before, name) for name in after}, after)


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
    "set_trigger": Kind(
        title="Start of a playbook by itself",
        model=Playbook,
        about=lambda playbook: Q(parameters__slug=playbook.slug),
        subject=_playbook_page,
        facts=_start,
        does=lambda approval: f"let {approval.parameters['slug']} start by itself",
        changes=_start_changes,
    ),
    **dict.fromkeys(
        ("add_endpoint", "change_endpoint"),
        Kind(
            title="Address of an endpoint",
            model=PartnerEndpoint,
            about=lambda endpoint: Q(subject=endpoint.name),
            subject=_endpoint_page,
            facts=_endpoint,
            does=lambda approval: f"let {approval.parameters['name']} be {approval.parameters['url']}",
            changes=_endpoint_changes,
        ),
    ),
    "change_user": Kind(
        title="Rights of an account",
        model=User,
        about=lambda user: Q(subject=user.username),
        subject=_account_page,
        facts=_account,
        does=lambda approval: f"let it be so for {approval.parameters['username']}",
        changes=_account_changes,
    ),
    "change_group": Kind(
        title="Permissions of a group",
        model=Group,
        about=lambda group: Q(subject=group.name),
        subject=_group_page,
        facts=_group,
        does=lambda approval: f"give them to {approval.parameters['name']}",
        changes=_group_changes,
    ),
    "add_fraud_rules": Kind(
        title="Change of the fraud rules",
        model=FraudRules,
        about=lambda rules: Q(),
        subject=_rules_page,
        facts=_rules,
        does=lambda approval: "change the fraud rules",
        changes=_rules_changes,
    ),
}
