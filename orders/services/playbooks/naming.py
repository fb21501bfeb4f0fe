"""Endpoints that playbooks may call: an administrator gives an address a name, and playbooks know the name only.

The address is judged when it is named, and again at every call (`orders.partners.endpoints`).
"""

from __future__ import annotations

from orders.access import RULES
from orders.actor import Actor
from orders.models import PartnerEndpoint
from orders.partners import endpoints


def name_endpoint(name: str, *, url: str, enabled: bool, is_new: bool, actor: Actor) -> PartnerEndpoint:
    """Name an address, or change the one that has the name.

    Raises `NotPermitted`, `InvalidInput` for an address that may not be called, or `PartnerUnavailable` for one that
    has no network address now.
    """
    actor.require(RULES["add_endpoint" if is_new else "change_endpoint"].permission)
    endpoints.require_allowed(url)
    if is_new:
        return PartnerEndpoint.objects.create(name=name, url=url, enabled=enabled, made_by=actor.name)
    endpoint = PartnerEndpoint.objects.get(name=name)
    endpoint.url, endpoint.enabled, endpoint.made_by = url, enabled, actor.name
    endpoint.save(update_fields=["url", "enabled", "made_by"])
    return endpoint
