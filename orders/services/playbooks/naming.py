"""Endpoints that playbooks may call: an administrator gives an address a name, and playbooks know the name only.

The address is judged when it is named, and again at every call (`orders.partners.endpoints`). One that a playbook calls
which gives money is changed by two people: what it answers may decide how much.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction

from orders.access import RULES
from orders.actor import Actor
from orders.errors import WrongState
from orders.models import Approval, PartnerEndpoint
from orders.partners import endpoints
from orders.services import approvals
from orders.services.playbooks import changing
from orders.vocabulary import AutomationKind

ADD, CHANGE = "add_endpoint", "change_endpoint"


def name_endpoint(name: str, *, url: str, enabled: bool, is_new: bool, actor: Actor) -> PartnerEndpoint | Approval:
    """Name an address, or change the one that has the name; the request when it waits for a second person.

    Raises `NotPermitted`, `InvalidInput` for an address that may not be called, `PartnerUnavailable` for one that
    has no network address now, or `WrongState` while a change of it waits already.
    """
    command = ADD if is_new else CHANGE
    actor.require(RULES[command].permission)
    endpoints.require_allowed(url)
    with transaction.atomic():
        endpoint = lock_endpoint(name)
        before, after = _values(endpoint), {"url": url, "enabled": enabled}
        if before == after or not enabled or not changing.is_called_for_money(name):
            return _save(name, endpoint, after, actor=actor)
        was = (
            f"instead of {before['url']}{'' if before['enabled'] else ' (switched off)'}" if before else "for now none"
        )
        return approvals.ask(
            command,
            subject=name,
            says=f"The endpoint {name} becomes {url}, {was}. A playbook that gives money calls it.",
            parameters={"name": name, **after, "was": before},
            reason="A playbook that gives money calls it",
            actor=actor,
        )


def carry_out(parameters: dict[str, Any], *, actor: Actor) -> None:
    """The work of an approved change. Raises `WrongState` when the endpoint is not as it was asked in view of."""
    name = parameters["name"]
    endpoint = lock_endpoint(name)
    if _values(endpoint) != parameters["was"]:
        raise WrongState(f"The endpoint {name} was changed since; ask again.")
    after = {key: parameters[key] for key in ("url", "enabled")}
    approval = approvals.being_decided((ADD, CHANGE), name)
    _save(name, endpoint, after, actor=actor, approval=approval)


def lock_endpoint(name: str) -> PartnerEndpoint | None:
    """The endpoint of that name, locked, if there is one."""
    return PartnerEndpoint.objects.select_for_update().filter(name=name).first()


def _values(endpoint: PartnerEndpoint | None) -> dict[str, Any]:
    return {"url": endpoint.url, "enabled": endpoint.enabled} if endpoint is not None else {}


def _save(
    name: str,
    endpoint: PartnerEndpoint | None,
    after: dict[str, Any],
    *,
    actor: Actor,
    approval: Approval | None = None,
) -> PartnerEndpoint:
    changing.record(
        AutomationKind.ENDPOINT, name, before=_values(endpoint), after=after, actor=actor, approval=approval
    )
    if endpoint is None:
        return PartnerEndpoint.objects.create(name=name, made_by=actor.name, **after)
    endpoint.url, endpoint.enabled, endpoint.made_by = after["url"], after["enabled"], actor.name
    endpoint.save(update_fields=["url", "enabled", "made_by"])
    return endpoint
