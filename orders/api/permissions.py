"""Who may do what through the API: nobody, unless a view says otherwise for each of its actions.

DRF's own default lets everyone in, and one permission for a whole view lets a reader write. The services ask again:
this table refuses early and keeps rows hidden, it is not the only lock.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from orders.actor import person
from orders.errors import NotPermitted
from orders.vocabulary import Channel


class DenyAll(BasePermission):
    """The default: a view that names no permission answers nobody."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return False


class SignedIn(BasePermission):
    """Any active user."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user and request.user.is_authenticated)


class Anyone(BasePermission):
    """For answers that tell nothing."""

    def has_permission(self, request: Request, view: Any) -> bool:
        return True


class PerAction(BasePermission):
    """The view's `action_permissions`: action -> Django permissions of which one is needed.

    An action in `hidden_actions` answers 404 instead of 403: whoever may not see an order does not learn that it
    exists. An action that is missing from the table is refused.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        if request.method not in view.allowed_methods:
            # DRF answers 405 right after this.
            return True
        action: str = view.action
        table: Mapping[str, tuple[str, ...]] = view.action_permissions
        needed = table.get(action, ())
        actor = person(request.user, Channel.API)
        if any(actor.may(permission) for permission in needed):
            return True
        try:
            actor.require(needed[0] if needed else action)
        except NotPermitted as refusal:
            self.message = str(refusal)
            # The answer may hide that there was something to refuse; the record of refusals must not.
            request._request.not_permitted = refusal  # type: ignore[attr-defined]
        if action in view.hidden_actions:
            raise NotFound(view.not_found_text)
        return False
