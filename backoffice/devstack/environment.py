"""The environment every part of the running product is started with.

One place decides which services are ours and which the caller brought along (`DATABASE_URL`, `TEMPORAL_ADDRESS`,
`SIMULATOR_URL`), and remembers the random secrets. Without it `./dev manage` and the worker could end up talking to
different databases.
"""

import hashlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit, urlunsplit

from backoffice.devstack import ports, private_json
from backoffice.devstack.paths import ROOT, Home, locked

#: name to number of random bytes; the one people type is the shortest
SECRETS = {
    "postgres_password": 36,
    "postgres_web_password": 36,
    "postgres_worker_password": 36,
    "postgres_reader_password": 36,
    "django_secret_key": 48,
    "admin_password": 12,
    "api_token": 36,
    "payload_key": 32,
    "personal_data_key": 32,
    "digest_key": 32,
    "gateway_events_secret": 32,
}
ROLE_PREFIX = "backoffice"
#: what only migrate and bootstrap may know
OWNERS = {"DATABASE_OWNER_URL", *(f"DATABASE_{role}_PASSWORD" for role in ("WEB", "WORKER", "READER"))}
#: the developer's own login
LOGIN = {"BACKOFFICE_ADMIN_PASSWORD", "BACKOFFICE_API_TOKEN", "BACKOFFICE_SECOND_API_TOKEN"}
#: what else a process has no business with: only the web checks what the gateway has signed
NOT_FOR = {"web": LOGIN, "worker": LOGIN | {"STRIPE_WEBHOOK_SECRETS"}}


def remembered_secrets(home: Home) -> dict[str, str]:
    """Return the random secrets of this home, made on first use and kept until `./dev reset`."""
    with locked(home.path / "secrets.lock"):
        known = {name: str(value) for name, value in private_json.read(home.secrets).items()}
        missing = {name: secrets.token_urlsafe(size) for name, size in SECRETS.items() if name not in known}
        if missing:
            known.update(missing)
            private_json.write(home.secrets, known)
        return known


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """Where each service answers, and which of them belong to somebody else."""

    #: of the owner, for people and their tools; web and worker get accounts of their own (`as_role`)
    database_url: str
    temporal_address: str
    temporal_ui: str | None
    simulator_url: str
    web_url: str
    external: frozenset[str] = field(default_factory=frozenset)
    ports: Mapping[str, int] = field(default_factory=dict)


def wire(home: Home, environ: Mapping[str, str] | None = None, *, starting: bool = False) -> Wiring:
    """Decide addresses: the caller's where given, else our own remembered loopback ports.

    Only the one that is about to start the servers may replace a port that somebody else has taken meanwhile.
    """
    given = os.environ if environ is None else environ
    external = set()
    chosen: dict[str, int] = {}

    def own(name: str) -> str:
        known = None if starting else ports.remembered(home, name)
        chosen[name] = known or ports.choose(home, name)
        return f"127.0.0.1:{chosen[name]}"

    if given.get("DATABASE_URL"):
        external.add("postgres")
        database_url = given["DATABASE_URL"]
    else:
        password = remembered_secrets(home)["postgres_password"]
        database_url = f"postgres://backoffice:{password}@{own('postgres')}/backoffice"
    temporal_ui: str | None
    # A profile of the Temporal configuration file names a server too (temporalio.envconfig reads it in the children).
    if given.get("TEMPORAL_ADDRESS") or given.get("TEMPORAL_PROFILE"):
        external.add("temporal")
        temporal_address = given.get("TEMPORAL_ADDRESS", "")
        temporal_ui = given.get("TEMPORAL_UI_URL") or None
    else:
        temporal_address = own("temporal")
        temporal_ui = f"http://{own('temporal_ui')}"
        own("temporal_http")
        own("temporal_metrics")
    if given.get("SIMULATOR_URL"):
        external.add("simulator")
        simulator_url = given["SIMULATOR_URL"].rstrip("/")
    else:
        simulator_url = f"http://{own('simulator')}"
    return Wiring(
        database_url=database_url,
        temporal_address=temporal_address,
        temporal_ui=temporal_ui,
        simulator_url=simulator_url,
        web_url=f"http://{own('web')}",
        external=frozenset(external),
        ports=chosen,
    )


def environment(home: Home, wiring: Wiring, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the full environment for a child: the caller's, our addresses, and defaults the caller may override."""
    result = dict(os.environ if environ is None else environ)
    known = remembered_secrets(home)
    result["DATABASE_URL"] = wiring.database_url
    if "postgres" not in wiring.external:
        result["DATABASE_OWNER_URL"] = wiring.database_url
        result["DATABASE_ROLE_PREFIX"] = ROLE_PREFIX
        for role in ("web", "worker", "reader"):
            result[f"DATABASE_{role.upper()}_PASSWORD"] = known[f"postgres_{role}_password"]
    result["SIMULATOR_URL"] = wiring.simulator_url
    if wiring.temporal_address:
        result["TEMPORAL_ADDRESS"] = wiring.temporal_address
    if wiring.temporal_ui:
        result["TEMPORAL_UI_URL"] = wiring.temporal_ui
    if "temporal" not in wiring.external:
        result["TEMPORAL_NAMESPACE"] = "backoffice"
    # ROOT is on the path so that `python -m simulator` and uvicorn find the checkout from any working directory.
    inherited = [part for part in result.get("PYTHONPATH", "").split(os.pathsep) if part and part != str(ROOT)]
    result["PYTHONPATH"] = os.pathsep.join([str(ROOT), *inherited])
    defaults = {
        "TEMPORAL_NAMESPACE": "backoffice",
        "BACKOFFICE_BASE_URL": wiring.web_url,
        "DJANGO_SECRET_KEY": known["django_secret_key"],
        "DJANGO_DEBUG": "0",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "BACKOFFICE_ENV": "dev",
        "DJANGO_SETTINGS_MODULE": "backoffice.settings",
        "BACKOFFICE_STATE_DIR": str(home.path),
        # A developer tries four eyes with an account of this minute; `bootstrap` says so.
        "FRESH_APPROVER_HOURS": "0",
        # The two demo logins; the sign-in page says so.
        "SECOND_FACTOR_EXEMPT": "admin,lead",
        "BACKOFFICE_ADMIN_PASSWORD": known["admin_password"],
        "BACKOFFICE_API_TOKEN": known["api_token"],
        # token_urlsafe is base64: the 32 bytes of an AES-256 key
        "BACKOFFICE_PAYLOAD_KEYS": f"dev:{known['payload_key']}",
        "BACKOFFICE_PERSONAL_DATA_KEYS": f"dev:{known['personal_data_key']}",
        "BACKOFFICE_DIGEST_KEYS": f"dev:{known['digest_key']}",
        "WORKER_READY_FILE": str(home.worker_ready),
        "PYTHONUNBUFFERED": "1",
    }
    if "simulator" not in wiring.external:
        # Current first, previous ones after it.
        defaults["STRIPE_WEBHOOK_SECRETS"] = gateway_events_secret(home)
    for name, value in defaults.items():
        result.setdefault(name, value)
    return result


def gateway_events_secret(home: Home) -> str:
    """What our own simulator signs its events with, in the form that Stripe gives to endpoint secrets."""
    return f"whsec_{remembered_secrets(home)['gateway_events_secret']}"


def as_role(given: Mapping[str, str], role: str) -> dict[str, str]:
    """The environment of a process that runs as `role`: its own database account, and no secret of others.

    A process that knows the owner's password is as good as the owner. Without an owner of its own the database is used
    with the account that the caller gave.
    """
    owner, password = given.get("DATABASE_OWNER_URL"), given.get(f"DATABASE_{role.upper()}_PASSWORD")
    result = {name: value for name, value in given.items() if name not in OWNERS | NOT_FOR[role]}
    if role == "worker":
        # It signs no session, and must not be able to.
        of_the_web = given.get("DJANGO_SECRET_KEY", "")
        result["DJANGO_SECRET_KEY"] = hashlib.sha512(f"worker {of_the_web}".encode()).hexdigest()
    if owner and password:
        prefix = given.get("DATABASE_ROLE_PREFIX", ROLE_PREFIX)
        address = urlsplit(owner)
        place = address.netloc.rpartition("@")[2]
        account = f"{prefix}_{role}:{quote(password, safe='')}"
        result["DATABASE_URL"] = urlunsplit(address._replace(netloc=f"{account}@{place}"))
    return result
