"""Rows that break a rule of who made what happen: makers of approvals, automation, accounts and roles."""

from typing import Any

from django.db import models

from orders.models import AccountChange, Approval, ApprovalMaker, AutomationChange, GivenPermission


def make_rows(approval: Approval) -> None:
    """One row in each table."""
    user = approval.requested_by
    ApprovalMaker.objects.create(approval=approval, user=user, part="published test v1")
    AutomationChange.objects.create(kind="endpoint", subject="warehouse", after={"enabled": True}, actor="ada")
    AccountChange.objects.create(account=user, what="role")
    GivenPermission.objects.create(role="viewer", permission="orders.view_order")


CASES: list[tuple[str, type[models.Model], dict[str, Any]]] = [
    ("approval_maker_once", ApprovalMaker, {}),
    ("given_permission_once", GivenPermission, {}),
    ("automation_kind_word", AutomationChange, {"kind": "lost"}),
    ("account_change_what_word", AccountChange, {"what": "lost"}),
]
