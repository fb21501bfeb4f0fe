"""Who calls: a token or the session of the admin, and how often somebody may call without either.

A token has 256 random bits, so guessing finds nothing; but it costs us a look-up each time, so wrong ones and calls
without any are limited by address. Passwords are not taken here: `Authorization: Basic` would be a second place to
guess them.
"""

from typing import Any, NoReturn

from django.http import HttpRequest
from drf_spectacular.contrib.knox_auth_token import KnoxTokenScheme
from knox.auth import TokenAuthentication as KnoxTokenAuthentication
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request

from orders import clock, limits
from orders.services import tokens


def brings_token(request: HttpRequest) -> bool:
    """Whether a call is answered for its token, and never for the session that it may carry too."""
    return request.headers.get("Authorization", "").split(" ")[0].lower() == "token"


class TokenAuthentication(KnoxTokenAuthentication):
    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        try:
            found: tuple[Any, Any] | None = super().authenticate(request)
        except AuthenticationFailed:
            _count(request, "wrong_token")
            raise
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[Any, Any]:
        """knox's own look-up reads every token of the user and deletes expired ones; ours reads one row."""
        row = tokens.holder(token.decode()) if token.isascii() else None
        if row is None or not row.user.is_active:
            _refuse("Invalid token.")
        if row.revoked_at is not None:
            _refuse(f"This token was revoked on {row.revoked_at:%Y-%m-%d}.")
        if row.expiry is not None and row.expiry <= clock.now():
            _refuse(f"This token expired on {row.expiry:%Y-%m-%d}.")
        tokens.note_use(row)
        # Whoever makes an Actor of this user gets one that is narrowed by the token; see orders/actor.py.
        row.user.api_token = row
        return row.user, row


class Unknown(BaseAuthentication):
    """The last one asked: nobody has signed in."""

    def authenticate(self, request: Request) -> None:
        if request.headers.get("Authorization"):
            _count(request, "wrong_token")
            _refuse("Sign in with 'Authorization: Token ...'.")
        _count(request, "anonymous")


def _refuse(why: str) -> NoReturn:
    raise AuthenticationFailed(why)


def _count(request: Request, kind: str) -> None:
    wait = limits.hit(kind, str(request.META.get("REMOTE_ADDR")))
    if wait:
        raise Throttled(wait)


class TokenScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]
    target_class = "orders.api.authentication.TokenAuthentication"
    name = "token"


class UnknownScheme(KnoxTokenScheme):  # type: ignore[no-untyped-call]
    """Not a way to sign in, so the document does not name it."""

    target_class = "orders.api.authentication.Unknown"
    name: list[str] = []  # type: ignore[assignment]

    def get_security_requirement(self, auto_schema: Any) -> list[Any]:
        return []

    def get_security_definition(self, auto_schema: Any) -> list[Any]:
        return []
