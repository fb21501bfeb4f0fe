"""`manage.py check --deploy`: configurations that work, and that let somebody else read, answer or pay.

They do not stop a process: a private network may be reason enough to live with one of them for a day. A deployment that
runs this check finds them before its first order does.
"""

from __future__ import annotations

from urllib.parse import urlparse

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from backoffice.checks import HERE, unverified_databases

PARTNERS = ("PAYMENTS_URL", "CARRIER_URL", "FRAUD_URL", "RATES_URL", "ADDRESSES_URL")
#: passwords that stand in every tutorial
GUESSED_FIRST = frozenset({"postgres", "password", "backoffice", "secret", "changeme", "admin"})


@register(Tags.security, deploy=True)
def peers_cannot_be_overheard(**_: object) -> list[CheckMessage]:
    """Whatever leaves this machine is encrypted, and goes to the one we mean."""
    # Django starts without Temporal's SDK, which takes a second.
    from temporalio.envconfig import ClientConfig

    if not settings.IS_PRODUCTION:
        return []
    found: list[CheckMessage] = [
        Error(
            f"The server of DATABASES[{alias!r}] is not verified: sslmode is {mode}.",
            hint="Add ?sslmode=verify-full&sslrootcert=FILE to its address (DATABASE_URL, DATABASE_DIRECT_URL).",
            id="backoffice.E016",
        )
        for alias, mode in unverified_databases()
    ]
    found += [
        Error(
            f"{name} is an address without TLS: {address.hostname}.",
            hint="Use https://, or a proxy on this machine that does.",
            id="backoffice.E018",
        )
        for name in PARTNERS
        if (address := urlparse(getattr(settings, name))).scheme == "http" and address.hostname not in HERE
    ]
    engine = ClientConfig.load_client_connect_config()
    engine_host = engine.get("target_host", "").rpartition(":")[0].strip("[]")
    if engine_host not in HERE and not engine.get("tls") and not engine.get("api_key"):
        found.append(
            Error(
                f"Temporal at {engine_host} is spoken to without TLS.",
                hint="Set TEMPORAL_TLS=true, or TEMPORAL_TLS_CLIENT_CERT_PATH and TEMPORAL_TLS_CLIENT_KEY_PATH.",
                id="backoffice.E019",
            )
        )
    if settings.EMAIL_HOST not in HERE and not (settings.EMAIL_USE_TLS or settings.EMAIL_USE_SSL):
        found.append(
            Error(
                f"Mail goes to {settings.EMAIL_HOST} without TLS.",
                hint="Set EMAIL_USE_TLS=1 (STARTTLS) or EMAIL_USE_SSL=1.",
                id="backoffice.E020",
            )
        )
    return found


@register(Tags.security, deploy=True)
def accounts_can_hold(**_: object) -> list[CheckMessage]:
    """Whoever moves money shows more than a password, and links reach the owners of accounts."""
    if not settings.IS_PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if not set(settings.SECOND_FACTOR_ROLES) >= {"lead", "superuser"} or not settings.ASK_AGAIN_AFTER_SECONDS:
        found.append(
            Error(
                "A password alone opens the accounts that move money, or is never asked for again.",
                hint="Leave SECOND_FACTOR_ROLES and ASK_AGAIN_AFTER_SECONDS out, or add to the defaults.",
                id="backoffice.E024",
            )
        )
    if not settings.EMAIL_HOST:
        found.append(
            Error(
                "EMAIL_HOST is not set: nobody can be invited or get a new password, and no owner is warned.",
                hint="Name a mail server, with EMAIL_USE_TLS=1 or EMAIL_USE_SSL=1.",
                id="backoffice.E025",
            )
        )
    if settings.SSO_SERVER_URL and not (
        settings.SSO_SERVER_URL.startswith("https://") and settings.SSO_CLIENT_ID and settings.SSO_CLIENT_SECRET
    ):
        found.append(
            Error(
                "Single sign-on is half configured, or its server is asked without TLS.",
                hint="Set SSO_SERVER_URL=https://..., SSO_CLIENT_ID and SSO_CLIENT_SECRET, or none of them.",
                id="backoffice.E026",
            )
        )
    return found


@register(Tags.security, deploy=True)
def nothing_is_for_tests_or_guessed(**_: object) -> list[CheckMessage]:
    """No stand-in is charged instead of the gateway, and no secret is one that everybody knows."""
    if not settings.IS_PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.SIMULATOR_URL or settings.STRIPE_API_KEY.startswith(("sk_test_", "rk_test_")):
        found.append(
            Error(
                "Payments go to a stand-in: SIMULATOR_URL is set, or STRIPE_API_KEY is a test key.",
                hint="Leave SIMULATOR_URL out; set the gateway's live key and the address of each partner.",
                id="backoffice.E017",
            )
        )
    if wide := [host for host in settings.ALLOWED_HOSTS if host.startswith(".") and host != "."]:
        found.append(
            Error(
                f"DJANGO_ALLOWED_HOSTS takes every host below {', '.join(wide)}.",
                hint="Name each host: links in mails are made from the name that a request came under.",
                id="backoffice.E021",
            )
        )
    if settings.PAYMENTS_URL and not settings.STRIPE_API_KEY:
        found.append(
            Error(
                "STRIPE_API_KEY is not set: no payment can be taken.",
                hint="Set the gateway's live key.",
                id="backoffice.E022",
            )
        )
    found += [
        Error(
            f"The password of DATABASES[{alias!r}] is one that is guessed first.",
            hint="Give the account a long random one; `openssl rand -base64 32` makes it.",
            id="backoffice.E023",
        )
        for alias, entry in settings.DATABASES.items()
        if (password := entry.get("PASSWORD", "")) and password.lower() in {*GUESSED_FIRST, entry.get("USER", "")}
    ]
    return found
