"""Letters about accounts: the invitation, the link to choose a password, and warnings to their owner."""

from __future__ import annotations

from allauth.account.app_settings import PASSWORD_RESET_TOKEN_GENERATOR
from allauth.account.utils import user_pk_to_url_str
from allauth.core import context as current
from allauth.utils import build_absolute_uri
from django.conf import settings
from django.contrib.auth.models import User
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from backoffice.account_adapter import deliver

HOURS = 3600


def send_link(user: User, *, is_new: bool) -> None:
    """Mail the owner of the account the address at which they choose a password, once and for some hours."""
    why = "An account was made for you" if is_new else "Somebody who makes accounts asked for a new password of yours"
    text = (
        f"{why} in the back office. Your name there is {user.get_username()}.\n\n"
        f"Choose your password here, within {settings.PASSWORD_RESET_TIMEOUT // HOURS} hours:\n\n{link(user)}\n\n"
        "Nobody else can see or choose it. Did you not expect this? Then tell your administrator."
    )
    _write(user.email, "Choose your password", text)


def link(user: User) -> str:
    """The address; it works once, for `PASSWORD_RESET_TIMEOUT`."""
    token = PASSWORD_RESET_TOKEN_GENERATOR().make_token(user)
    path = reverse("account_reset_password_from_key", args=[user_pk_to_url_str(user), token])
    return str(build_absolute_uri(current.request, path))


def tell_of_move(user: User) -> None:
    """Tell the address that an account had until now."""
    if user.email:
        text = (
            f"From now on mail about the account {user.get_username()}, links to choose a password among it, goes to "
            "another address. Did you not expect this? Then tell your administrator at once."
        )
        _write(user.email, "Your account has another mail address", text)


def tell_of_guessing(user: User, *, failures: int, address: str) -> None:
    """Tell the owner that somebody tries passwords at their account."""
    if user.email:
        text = (
            f"There were {failures} wrong sign-ins as {user.get_username()} within the last hour, the last one from "
            f"{address}. Sign-ins from where you have not signed in before are refused for a while; yours are not.\n\n"
            "You need not do anything. Is your password used elsewhere too? Then choose another one."
        )
        _write(user.email, "Somebody tries passwords at your account", text)


def tell_of_flood(user: User, *, failures: int) -> None:
    """Tell a superuser that passwords are tried at many accounts at once."""
    if user.email:
        text = (
            f"There were {failures} wrong sign-ins in all within an hour. Until they are fewer, people sign in only "
            "where they have signed in before. The list is under Access, Failed sign-ins."
        )
        _write(user.email, "Somebody tries passwords at many accounts", text)


def _write(to: str, subject: str, text: str) -> None:
    letter = EmailMessage(f"{settings.ACCOUNT_EMAIL_SUBJECT_PREFIX}{subject}", text, to=[to])
    transaction.on_commit(lambda: deliver(letter))
