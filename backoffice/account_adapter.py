"""What allauth does in our way: nobody signs up, proxies say who calls, and mail never keeps a page waiting."""

from __future__ import annotations

import base64
import logging
import smtplib
import threading
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context as current
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.mail import EmailMessage
from django.http import HttpRequest

from backoffice import asking_again, second_factor
from orders.keyring import Keyring, keyring

logger = logging.getLogger(__name__)
#: where the secrets of authenticators belong: moved elsewhere they cannot be read
PLACE = "mfa_authenticator"


class AccountAdapter(DefaultAccountAdapter):
    error_messages = {
        **DefaultAccountAdapter.error_messages,
        "username_password_mismatch": "This name and this password do not belong together.",
        "incorrect_password": "This is not your password.",
        "too_many_login_attempts": "Too many wrong codes. Try again in five minutes.",
        "rate_limited": "Too many tries. Wait a minute.",
    }

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """People are invited."""
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        """`backoffice.proxies` has judged it."""
        return str(request.META["REMOTE_ADDR"])

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        """axes counts wrong passwords, for all web processes; a second count would only answer differently."""

    def get_reauthentication_methods(self, user: AbstractBaseUser | AnonymousUser) -> list[dict]:
        """Whoever has a second factor confirms with that: a password may have been watched."""
        methods: list[dict] = super().get_reauthentication_methods(user)
        strong = [method for method in methods if method["id"] != "reauthenticate"]
        return strong or methods

    def is_reauthentication_required(self, *, app: str, **_: Any) -> bool:
        """A sign-in of the last minutes is as good as a confirmation."""
        return not asking_again.is_proven(current.request)

    def send_mail(self, template_prefix: str, email: str, context: dict) -> None:
        """In the background, so that the answer takes as long for an address that nobody has."""
        message = self.render_mail(template_prefix, email, {"request": current.request, "email": email, **context})
        deliver(message)

    def send_notification_mail(
        self,
        template_prefix: str,
        user: AbstractBaseUser,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """To the account's own address."""
        email = email or getattr(user, "email", "")
        if email:
            super().send_notification_mail(template_prefix, user, context, email)


class FactorAdapter(DefaultMFAAdapter):
    """Secrets are encrypted with the key of personal data: a dump of the database makes no codes."""

    error_messages = {
        **DefaultMFAAdapter.error_messages,
        "incorrect_code": "This code is not right, or it was used before.",
        "cannot_delete_authenticator": "Your role needs a second factor: add another one before you remove this one.",
    }

    def encrypt(self, text: str) -> str:
        key_id, sealed = _ring().encrypt(text.encode(), place=PLACE)
        return f"{key_id}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, encrypted_text: str) -> str:
        key_id, _, sealed = encrypted_text.partition(":")
        return _ring().decrypt(key_id, base64.b64decode(sealed), place=PLACE).decode()

    def get_totp_label(self, user: AbstractBaseUser) -> str:
        return user.get_username()

    def can_delete_authenticator(self, authenticator: Any) -> bool:
        """The last factor of a role that needs one stays; a superuser can remove it for somebody who lost it."""
        user = authenticator.user
        return not second_factor.is_required(user) or second_factor.factors(user).exclude(pk=authenticator.pk).exists()


def deliver(message: EmailMessage) -> None:
    """Send it soon, and log what the mail server says against it. Without a mail server nothing is sent.

    A developer without one finds the letter in the log of the web process.
    """
    if settings.EMAIL_HOST:
        threading.Thread(target=_send, args=(message,), name="account mail").start()
    elif settings.ENVIRONMENT == "dev":
        logger.warning("No mail server, so to %s:\n%s", ", ".join(message.to), message.body)
    else:
        logger.warning("No mail server is configured (EMAIL_HOST), so %r is not sent", message.subject)


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except (OSError, smtplib.SMTPException) as error:
        logger.error("The mail %r was not sent: %s", message.subject, type(error).__name__)


def _ring() -> Keyring:
    return keyring("BACKOFFICE_PERSONAL_DATA_KEYS", settings.PERSONAL_DATA_KEYS)
