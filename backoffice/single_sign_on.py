"""Single sign-on: somebody else says who it is, and we say whether that person has an account here.

An account is found by the mail address that the provider has verified, which must be that of exactly one active
account; from then on by the provider's own id. Nobody gets an account by it, and a second factor is asked for all the
same.
"""

from __future__ import annotations

from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from django.contrib import messages
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.shortcuts import redirect

UNKNOWN = "There is no account here for this sign-in. Ask whoever makes accounts for an invitation."


class SingleSignOn(DefaultSocialAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        """Find the account, or say that there is none."""
        # To "connect" would let whoever sits at a desk add a sign-in of their own to it.
        if sociallogin.state.get("process") != "login":
            raise ImmediateHttpResponse(redirect("account_login"))
        if sociallogin.is_existing and sociallogin.user.is_active:
            return
        verified = [address.email.lower() for address in sociallogin.email_addresses if address.verified]
        found = User.objects.filter(email__in=verified, is_active=True)
        if sociallogin.is_existing or len(found) != 1:
            messages.error(request, UNKNOWN)
            raise ImmediateHttpResponse(redirect("account_login"))
        sociallogin.connect(request, found[0])
