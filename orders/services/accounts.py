"""What a changed account does to its tokens, whoever changes it: the admin, a command or a shell.

A token made under a password that leaked must not outlive it, and one of somebody who left must not come back with the
account. Django calls the validator after a *changed* password was stored, never for a re-hash at sign-in.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models.signals import post_save
from django.dispatch import receiver

from orders.services import tokens


class RevokesTokens:
    """One of AUTH_PASSWORD_VALIDATORS; it refuses no password."""

    def validate(self, password: str, user: Any = None) -> None:
        return None

    def get_help_text(self) -> str:
        return "A new password ends your API tokens."

    def password_changed(self, password: str, user: Any = None) -> None:
        if user is not None and user.pk:
            tokens.revoke_all(user, "The password was changed.")


@receiver(post_save, sender=User, dispatch_uid="tokens-of-a-closed-account")
def account_saved(instance: User, update_fields: frozenset[str] | None = None, **_: object) -> None:
    if not instance.is_active and (update_fields is None or "is_active" in update_fields):
        tokens.revoke_all(instance, "The account was deactivated.")
