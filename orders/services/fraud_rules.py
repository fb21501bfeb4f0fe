"""Changing the fraud rules: they decide of whom nobody is asked, so two people change them.

A version is never changed: whoever puts the old rules back writes a third one, and every order keeps the one it was
judged by.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import connection, transaction

from orders.actor import Actor
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, FraudRules
from orders.services import approvals
from orders.services.fraud import current_rules

COMMAND = "add_fraud_rules"
#: all that a version says; amounts are minor units, whatever the currency
FIELDS = (
    "total_over_minor",
    "total_points",
    "line_pieces",
    "line_points",
    "guest_points",
    "partner_hit_from",
    "suspicious_from",
    "review_hours",
    "escalation_hours",
    "default_verdict",
    "second_person_over_minor",
)
WHAT = "fraud rules"


def change(values: dict[str, Any], *, actor: Actor, reason: str) -> Approval:
    """Ask for a new version with these values; a second person decides.

    Raises `NotPermitted`, `InvalidInput` for a missing reason or a value that the table refuses, or `WrongState` when
    nothing would change or another change waits.
    """
    actor.require("orders.add_fraudrules")
    if not reason.strip():
        raise InvalidInput("reason", "Say why the rules change.")
    with transaction.atomic():
        now = lock_rules()
        new = {name: values[name] for name in FIELDS}
        changes = [
            f"{name.replace('_', ' ')} {getattr(now, name)} \u2192 {new[name]}"
            for name in FIELDS
            if getattr(now, name) != new[name]
        ]
        if not changes:
            raise WrongState(f"Version {now.version} says exactly this already.")
        _refuse_bad(new, reason)
        return approvals.ask(
            COMMAND,
            subject=WHAT,
            says=f"The fraud rules change: {', '.join(changes)}.",
            parameters={"values": new, "instead_of": now.version, "reason": reason[:500]},
            reason=reason,
            actor=actor,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved change. Raises `WrongState` when the rules are not those that it was asked in view of."""
    actor.require("orders.add_fraudrules")
    now = lock_rules()
    if now.version != parameters["instead_of"]:
        raise WrongState(f"Version {now.version} counts by now, not {parameters['instead_of']}; ask again.")
    approval = approvals.being_decided((COMMAND,), WHAT)
    FraudRules.objects.create(
        **parameters["values"], made_by=actor.name, reason=parameters["reason"], approval=approval
    )


def lock_rules() -> FraudRules:
    """The rules that count, while nobody else adds a version."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('orders.fraud_rules'))")
    return current_rules()


def _refuse_bad(values: dict[str, Any], reason: str) -> None:
    try:
        FraudRules(**values, reason=reason[:500]).full_clean()
    except ValidationError as error:
        field, said = next(iter(error.message_dict.items()))
        raise InvalidInput(field, f"{field}: {' '.join(said)}") from error
