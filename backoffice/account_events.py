"""What follows when somebody's way of signing in changes."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.signals import authenticator_added
from django.dispatch import receiver
from django.http import HttpRequest

from backoffice.second_factor import KINDS
from orders.services import sessions


@receiver(authenticator_added, dispatch_uid="a-new-factor")
def a_new_factor(request: HttpRequest, user: Any, authenticator: Authenticator, **_: object) -> None:
    """A session that began with the password alone is as weak as before; this one has just shown the new factor."""
    if authenticator.type in KINDS:
        sessions.end_all(user.pk, keep=request.session.session_key)
        record_authentication(request, user, "mfa", id=authenticator.pk, type=authenticator.type, reauthenticated=True)
