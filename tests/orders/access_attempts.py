"""How to try each command at each of its doors: what `test_access_matrix.py` does as every kind of person.

A command that is added to `orders.access.COMMANDS` gets an entry for each door here; a test says which are missing.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from orders.access import Role
from orders.actor import person as acting
from orders.models import ApiToken, Approval, Customer, Order, PartnerHealth, StaffTask
from orders.models.customer import Personal
from orders.services import catalogue, customers, deciding, holding, seals, stepping
from orders.vocabulary import ApprovalStatus, Channel, TaskLevel
from tests.factories import TEST_ACTOR, make_order, make_prepared_order, make_product
from tests.orders import attempts_batches, attempts_exports, attempts_processes, attempts_returns, driving
from tests.orders.api_calls import make_token, new_key, order_body, token_client
from tests.orders.feed_files import csv_of, row
from tests.orders.playbooks import chief

_numbers = itertools.count(1)


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody at the three doors; without a user, somebody whom nobody knows."""

    role: str
    user: User | None

    @cached_property
    def browser(self) -> Client:
        client = Client(raise_request_exception=False)
        if self.user:
            client.force_login(self.user)
        return client

    @cached_property
    def program(self) -> Client:
        """A client of the API, with this person's token."""
        return token_client(user=self.user) if self.user else Client(raise_request_exception=False)

    def post(self, name: str, data: dict[str, Any] | None = None, *args: Any) -> HttpResponse:
        """A form of the admin, by the name of its address."""
        return self.browser.post(reverse(name, args=args), data or {})

    def call(self, address: str, body: Any, content_type: str = "application/json") -> HttpResponse:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.program.post(address, content, content_type=content_type, headers={"Idempotency-Key": new_key()})

    def run(self, *arguments: Any) -> None:
        """A management command. Raises `CommandError`."""
        name = self.user.get_username() if self.user else "whoever"
        call_command(*map(str, arguments), "--as", name, stdout=StringIO(), stderr=StringIO())


@dataclass(frozen=True, kw_only=True)
class Attempt:
    command: str
    channel: Channel
    door: str
    #: tries it with what `prepare` made; a command line answers None or raises
    do: Callable[[Person, Any], HttpResponse | None]
    prepare: Callable[[], Any] = lambda: None
    #: hands out something instead of changing anything
    reads: bool = False

    def __str__(self) -> str:
        return f"{self.command}-{self.channel}-{self.door}"


def _upload(**options: str) -> dict[str, Any]:
    file = SimpleUploadedFile("day.csv", csv_of(row(f"54{next(_numbers):04}")))
    return {"file": file, "layout": "online-retail", "initial_stock": "1", **options}


def _file() -> Path:
    with tempfile.NamedTemporaryFile(suffix=".csv", delete=False) as file:
        file.write(csv_of(row(f"55{next(_numbers):04}")))
    return Path(file.name)


def _import_file(person: Person, path: Path, *options: str) -> None:
    person.run("import_orders", path, *options)
    # Whoever was refused leaves it to the next one.
    path.unlink()


def _account() -> User:
    name = f"somebody-{next(_numbers)}"
    return User.objects.create_user(name, email=f"{name}@example.com")


def _invitation() -> dict[str, str]:
    name = f"u{next(_numbers)}"
    return {"username": name, "email": f"{name}@example.com"}


def _enrolled() -> User:
    Authenticator.objects.create(user=(user := _account()), type=Authenticator.Type.TOTP, data={})
    return user


def _session() -> UserSession:
    return UserSession.objects.create(user=_account(), ip="192.0.2.1", session_key=f"key-{next(_numbers)}")


def _group() -> Group:
    return Group.objects.create(name=f"group-{next(_numbers)}")


def _token() -> ApiToken:
    make_token(user := _account(), "full")
    return ApiToken.objects.get(user=user)


def _lock() -> AccessAttempt:
    return AccessAttempt.objects.create(username=f"locked-{next(_numbers)}", failures_since_start=3)


def _customer() -> Customer:
    with transaction.atomic():
        return customers.known(f"ERASE-{next(_numbers)}", Personal())


def _approval() -> Approval:
    """A price that somebody wants changed by far."""
    chief = User.objects.create_superuser(f"asking-{next(_numbers)}")
    product = make_product()
    approval = catalogue.change_product(
        product.sku, name=product.name, unit_price=Decimal("99.00"), actor=acting(chief, Channel.ADMIN)
    )
    assert approval is not None
    return approval


def _seal() -> int:
    return seals.seal_history(actor=TEST_ACTOR).seal.sequence


def _change_user(person: Person, account: User) -> HttpResponse:
    form = {"username": account.username, "date_joined_0": "2026-01-01", "date_joined_1": "10:00:00"}
    return person.post("admin:auth_user_change", {**form, "last_name": "New"}, account.pk)


def _held() -> Order:
    order = make_prepared_order()
    holding.hold(order.number, actor=TEST_ACTOR, reason="Wait")
    return order


def _completed() -> Order:
    return driving.drive(make_order())


def _refund_attempts(command: str, path: str, prepare: Callable[[], Order], **body: Any) -> tuple[Attempt, Attempt]:
    form = {"left_minor": "2000", "amount": "5.00"} if body else {}
    return (
        Attempt(
            command=command,
            channel=Channel.ADMIN,
            door=f"orders:{command.replace('_', '-')}",
            prepare=prepare,
            do=lambda person, order: person.post(
                f"orders:{command.replace('_', '-')}", {"reason": "Why", **form}, order.number
            ),
        ),
        Attempt(
            command=command,
            channel=Channel.API,
            door="Refunds.create" if body else "Refunds.retry",
            prepare=prepare,
            do=lambda person, order: person.call(f"/api/orders/{order.number}/{path}/", {"reason": "Why", **body}),
        ),
    )


def _task() -> StaffTask:
    """A task that agents may work too."""
    task = StaffTask.objects.get(order=driving.make_order_that_is_owed())
    StaffTask.objects.filter(pk=task.pk).update(level=TaskLevel.AGENT)
    return task


def _partner_attempts(verb: str) -> tuple[Attempt, Attempt]:
    """At the page of the partners, and by the call of the same name."""

    def prepare() -> None:
        stopped = verb != "hold"
        now = {"state": "held" if stopped else "closed", "opened_at": timezone.now() if stopped else None}
        PartnerHealth.objects.update_or_create(partner="carrier", defaults={**now, "next_try_at": None})

    return (
        Attempt(
            command=f"partner_{verb}",
            channel=Channel.ADMIN,
            door=f"PartnerHealthAdmin.{verb}",
            prepare=prepare,
            do=lambda person, _: person.post(
                f"admin:orders_partnerhealth_{verb}", {"_form_submitted": "on", "reason": "Weather"}, "carrier"
            ),
        ),
        Attempt(
            command=f"partner_{verb}",
            channel=Channel.API,
            door=f"Partners.{verb}",
            prepare=prepare,
            do=lambda person, _: person.call(f"/api/partners/carrier/{verb}/", {"reason": "Weather"}),
        ),
    )


def _task_attempts(command: str, verb: str) -> tuple[Attempt, Attempt]:
    """At the queue, and by the call of the same name."""
    body = {"note": "Paid by bank", "reference": "B-1"} if verb == "resolve" else {}
    return (
        Attempt(
            command=command,
            channel=Channel.ADMIN,
            door=f"StaffTaskAdmin.{verb}",
            prepare=_task,
            do=lambda person, task: person.post(
                f"admin:orders_stafftask_{verb}", {"_form_submitted": "on", **body}, task.pk
            ),
        ),
        Attempt(
            command=command,
            channel=Channel.API,
            door=f"Tasks.{verb}",
            prepare=_task,
            do=lambda person, task: person.call(f"/api/tasks/{task.pk}/{verb}/", body),
        ),
    )


def _failing() -> Order:
    """An order whose charge fails and is tried again."""
    return driving.drive(make_order(), gateway=driving.outage())


def _paused() -> Order:
    order = _failing()
    stepping.pause(order.number, actor=TEST_ACTOR, reason="The gateway is down")
    return order


def _nothing_waits() -> None:
    """What the one before asked for would stand in the way."""
    for approval in Approval.objects.filter(status=ApprovalStatus.WAITING):
        deciding.decline(approval.pk, actor=chief("decliner"), reason="No")


def _order_command(name: str, door: str, prepare: Callable[[], Order], **body: Any) -> tuple[Attempt, Attempt]:
    """A command of the order page with the call of the same name."""
    path = name.replace("_", "/")
    return (
        Attempt(
            command=name,
            channel=Channel.ADMIN,
            door=f"orders:{name.replace('_', '-')}",
            prepare=prepare,
            do=lambda person, order: person.post(
                f"orders:{name.replace('_', '-')}", {"reason": "Why", **body}, order.number
            ),
        ),
        Attempt(
            command=name,
            channel=Channel.API,
            door=door,
            prepare=prepare,
            do=lambda person, order: person.call(
                f"/api/orders/{order.number}/{path}/",
                {"question": "Why?"} if name == "review_ask" else {"reason": "Why", **body},
            ),
        ),
    )


def _tick(list_name: str, action: str) -> Callable[[Person, Any], HttpResponse]:
    return lambda person, thing: person.post(
        list_name, {"action": action, "_selected_action": [str(thing.pk)], "index": "0", "post": "yes"}
    )


def _delete(address: str) -> Callable[[Person, Any], HttpResponse]:
    return lambda person, thing: person.post(address, {"post": "yes"}, thing.pk)


ADMIN, API, CLI = Channel.ADMIN, Channel.API, Channel.CLI
FRAUD_RULES = {
    "total_over_minor": 1,
    "total_points": 1,
    "line_pieces": 1,
    "line_points": 1,
    "guest_points": 1,
    "partner_hit_from": 1,
    "suspicious_from": 1,
    "review_hours": 1,
    "escalation_hours": 1,
    "default_verdict": "rejected",
    "second_person_over_minor": 1,
    "reason": "Why",
}

ATTEMPTS: tuple[Attempt, ...] = (
    Attempt(
        command="place",
        channel=API,
        door="Orders.create",
        prepare=lambda: order_body(process=False),
        do=lambda person, body: person.call("/api/orders/", body),
    ),
    Attempt(
        command="start",
        channel=ADMIN,
        door="OrderAdmin.start_processing",
        prepare=make_order,
        do=_tick("admin:orders_order_changelist", "start_processing"),
    ),
    Attempt(
        command="start",
        channel=ADMIN,
        door="OrderAdmin.start_one",
        prepare=make_order,
        do=lambda person, order: person.post("admin:orders_order_start_one", {"_form_submitted": "on"}, order.pk),
    ),
    Attempt(
        command="start",
        channel=ADMIN,
        door="orders:start",
        prepare=make_order,
        do=lambda person, order: person.post("orders:start", {}, order.number),
    ),
    Attempt(
        command="start",
        channel=API,
        door="Orders.start",
        prepare=make_order,
        do=lambda person, order: person.call(f"/api/orders/{order.number}/start/", {}),
    ),
    *_order_command("hold", "OrderCommands.hold", make_prepared_order),
    *_order_command("release", "OrderCommands.release", _held),
    *_order_command("cancel", "OrderCommands.cancel", make_prepared_order),
    *_order_command("step_retry", "StepCommands.retry", _failing),
    *_order_command("step_pause", "StepCommands.pause", _failing),
    *_order_command("step_resume", "StepCommands.resume", _paused),
    *_order_command("review_claim", "Reviews.claim", driving.make_order_in_review),
    *_order_command("review_ask", "Reviews.ask", driving.make_order_in_review),
    *_order_command("review_approve", "Reviews.approve", driving.make_order_in_review),
    *_order_command("review_reject", "Reviews.reject", driving.make_order_in_review),
    *_order_command("review_extend", "Reviews.extend", driving.make_order_in_review, hours=2),
    *(attempt for verb in ("hold", "probe", "close") for attempt in _partner_attempts(verb)),
    *_refund_attempts("refund", "refunds", _completed, amount_minor=500),
    *_refund_attempts("refund_retry", "refunds/retry", driving.make_order_that_is_owed),
    *_task_attempts("acknowledge_task", "acknowledge"),
    *_task_attempts("resolve_task", "resolve"),
    Attempt(
        command="add_fraud_rules",
        channel=ADMIN,
        door="FraudRulesAdmin.add",
        prepare=_nothing_waits,
        do=lambda person, _: person.post("admin:orders_fraudrules_add", FRAUD_RULES),
    ),
    Attempt(
        command="import_feed",
        channel=ADMIN,
        door="admin:orders_feedimport_import",
        do=lambda person, _: person.post("admin:orders_feedimport_import", _upload()),
    ),
    Attempt(
        command="import_feed",
        channel=API,
        door="Imports.create",
        do=lambda person, _: person.call("/api/imports/", csv_of(row("536365")), "text/csv"),
    ),
    Attempt(
        command="import_feed",
        channel=CLI,
        door="import_orders",
        prepare=_file,
        do=lambda person, path: _import_file(person, path),
    ),
    Attempt(
        command="add_product",
        channel=ADMIN,
        door="admin:orders_feedimport_import",
        do=lambda person, _: person.post("admin:orders_feedimport_import", _upload(create_products="on")),
    ),
    Attempt(
        command="add_product",
        channel=API,
        door="Imports.create",
        do=lambda person, _: person.call("/api/imports/?create_products=true", csv_of(row("536365")), "text/csv"),
    ),
    Attempt(
        command="add_product",
        channel=CLI,
        door="import_orders",
        prepare=_file,
        do=lambda person, path: _import_file(person, path, "--create-products"),
    ),
    Attempt(
        command="change_product",
        channel=ADMIN,
        door="ProductAdmin.change",
        prepare=make_product,
        do=lambda person, product: person.post(
            "admin:orders_product_change", {"name": "Lamp", "unit_price": "10.50"}, product.pk
        ),
    ),
    Attempt(
        command="erase_customer",
        channel=ADMIN,
        door="CustomerAdmin.erase",
        prepare=_customer,
        do=lambda person, customer: person.post(
            "admin:orders_customer_erase", {"_form_submitted": "on", "reason": "Asked, case 7"}, customer.pk
        ),
    ),
    Attempt(
        command="erase_customer",
        channel=API,
        door="Customers.erase",
        prepare=_customer,
        do=lambda person, customer: person.call(
            f"/api/customers/{customer.reference}/erase/", {"reason": "Asked, case 7"}
        ),
    ),
    Attempt(
        command="erase_customer",
        channel=CLI,
        door="erase_customer",
        prepare=_customer,
        do=lambda person, customer: person.run("erase_customer", customer.reference, "--reason", "Asked, case 7"),
    ),
    Attempt(command="seal_history", channel=CLI, door="seal_history", do=lambda person, _: person.run("seal_history")),
    Attempt(
        command="export_seals",
        channel=ADMIN,
        door="admin:orders_historyseal_download",
        prepare=_seal,
        do=lambda person, sequence: person.post("admin:orders_historyseal_download", {}, sequence),
        reads=True,
    ),
    Attempt(
        command="export_seals",
        channel=CLI,
        door="export_seals",
        prepare=_seal,
        do=lambda person, _: person.run("export_seals"),
        reads=True,
    ),
    Attempt(
        command="decide_approval",
        channel=ADMIN,
        door="orders:approval-approve",
        prepare=_approval,
        do=lambda person, approval: person.post("orders:approval-approve", {}, approval.pk),
    ),
    Attempt(
        command="decide_approval",
        channel=ADMIN,
        door="orders:approval-decline",
        prepare=_approval,
        do=lambda person, approval: person.post("orders:approval-decline", {"reason": "No"}, approval.pk),
    ),
    Attempt(
        command="decide_approval",
        channel=API,
        door="Approvals.approve",
        prepare=_approval,
        do=lambda person, approval: person.call(f"/api/approvals/{approval.pk}/approve/", {}),
    ),
    Attempt(
        command="decide_approval",
        channel=API,
        door="Approvals.decline",
        prepare=_approval,
        do=lambda person, approval: person.call(f"/api/approvals/{approval.pk}/decline/", {"reason": "No"}),
    ),
    Attempt(
        command="add_user",
        channel=ADMIN,
        door="UserAdmin.add",
        do=lambda person, _: person.post("admin:auth_user_add", _invitation()),
    ),
    Attempt(command="change_user", channel=ADMIN, door="UserAdmin.change", prepare=_account, do=_change_user),
    Attempt(
        command="send_password_link",
        channel=ADMIN,
        door="UserAdmin.send_link",
        prepare=_account,
        do=_tick("admin:auth_user_changelist", "send_link"),
    ),
    Attempt(
        command="remove_factor",
        channel=ADMIN,
        door="UserAdmin.remove_factor",
        prepare=_enrolled,
        do=_tick("admin:auth_user_changelist", "remove_factor"),
    ),
    Attempt(
        command="end_session",
        channel=ADMIN,
        door="UserSessionAdmin.end",
        prepare=_session,
        do=_tick("admin:usersessions_usersession_changelist", "end"),
    ),
    Attempt(
        command="change_user",
        channel=CLI,
        door="give_role",
        prepare=_account,
        do=lambda person, account: person.run("give_role", account.username, Role.LEAD),
    ),
    Attempt(
        command="add_group",
        channel=ADMIN,
        door="GroupAdmin.add",
        do=lambda person, _: person.post("admin:auth_group_add", {"name": f"group-{next(_numbers)}"}),
    ),
    Attempt(
        command="change_group",
        channel=ADMIN,
        door="GroupAdmin.change",
        prepare=_group,
        do=lambda person, group: person.post("admin:auth_group_change", {"name": f"{group.name}-new"}, group.pk),
    ),
    Attempt(
        command="delete_group",
        channel=ADMIN,
        door="GroupAdmin.delete",
        prepare=_group,
        do=_delete("admin:auth_group_delete"),
    ),
    Attempt(
        command="delete_group",
        channel=ADMIN,
        door="GroupAdmin.delete_selected",
        prepare=_group,
        do=_tick("admin:auth_group_changelist", "delete_selected"),
    ),
    Attempt(
        command="issue_token",
        channel=ADMIN,
        door="admin:orders_apitoken_issue",
        do=lambda person, _: person.post("admin:orders_apitoken_issue", {"name": "job", "scopes": "full", "days": "9"}),
    ),
    Attempt(
        command="issue_token",
        channel=API,
        door="Tokens.create",
        do=lambda person, _: person.call("/api/tokens/", {"name": "job", "scopes": ["full"], "days": 9}),
    ),
    Attempt(
        command="revoke_token",
        channel=ADMIN,
        door="ApiTokenAdmin.revoke",
        prepare=_token,
        do=_tick("admin:orders_apitoken_changelist", "revoke"),
    ),
    Attempt(
        command="revoke_token",
        channel=API,
        door="Tokens.revoke",
        prepare=_token,
        do=lambda person, token: person.call(f"/api/tokens/{token.public_id}/revoke/", {}),
    ),
    Attempt(
        command="lift_lock",
        channel=ADMIN,
        door="AccessAttemptAdmin.delete",
        prepare=_lock,
        do=_delete("admin:axes_accessattempt_delete"),
    ),
    Attempt(
        command="lift_lock",
        channel=ADMIN,
        door="AccessAttemptAdmin.delete_selected",
        prepare=_lock,
        do=_tick("admin:axes_accessattempt_changelist", "delete_selected"),
    ),
    *attempts_returns.attempts(Attempt),
    *attempts_processes.attempts(Attempt),
    *attempts_batches.attempts(Attempt),
    *attempts_exports.attempts(Attempt),
)
