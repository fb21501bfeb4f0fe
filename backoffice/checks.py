"""System checks: a wrong configuration stops the start with an id and a hint, not an order halfway through."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlparse

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import Error as DatabaseError
from django.db import connection

from orders.connections import LIMITS, look
from orders.keyring import InvalidKeys, parse_keys
from orders.vocabulary import ProcessStepName
from temporal_app.task_queues import TaskQueue

#: seconds; a partner that is back must not be left alone for longer
LONGEST_BACK_OFF = 3600


@register()
def configuration_is_complete(**_: object) -> list[CheckMessage]:
    """Everything that has no safe default is set."""
    found: list[CheckMessage] = []
    if not settings.SECRET_KEY:
        found.append(
            Error(
                "DJANGO_SECRET_KEY is not set.",
                hint="Run through ./dev, or set a long random key.",
                id="backoffice.E001",
            )
        )
    engine = settings.DATABASES["default"].get("ENGINE", "")
    if engine != "django.db.backends.postgresql":
        found.append(
            Error(
                f"The database engine is {engine or 'missing'}.",
                hint="Set DATABASE_URL=postgres://user:password@host:port/name; ./dev sets it for you.",
                id="backoffice.E002",
            )
        )
    for name in ("PAYMENTS_URL", "CARRIER_URL", "FRAUD_URL", "RATES_URL", "ADDRESSES_URL"):
        value = getattr(settings, name)
        if value and urlparse(value).scheme not in {"http", "https"}:
            found.append(
                Error(f"{name} is not an http(s) address.", hint="Example: https://host", id="backoffice.E003")
            )
    if (
        settings.BREAKER_FAILURES < 1
        or not 0 < settings.BREAKER_FIRST_SECONDS <= settings.BREAKER_LONGEST_SECONDS <= LONGEST_BACK_OFF
        or settings.BREAKER_DRAIN_PER_SECOND <= 0
    ):
        found.append(
            Error(
                "The circuit breaker's numbers (BREAKER_...) do not work together.",
                hint="BREAKER_FAILURES 1 or more, BREAKER_DRAIN_PER_SECOND above 0, and "
                f"0 < BREAKER_FIRST_SECONDS <= BREAKER_LONGEST_SECONDS <= {LONGEST_BACK_OFF}.",
                id="backoffice.E010",
            )
        )
    if settings.IS_PRODUCTION and settings.PAYMENTS_URL and not settings.STRIPE_WEBHOOK_SECRETS:
        found.append(
            Warning(
                "STRIPE_WEBHOOK_SECRETS is not set: events of the payment gateway are refused and only polled for.",
                hint="Add the endpoint /api/gateway/events/ at the gateway and set its signing secret here.",
                id="backoffice.W003",
            )
        )
    if settings.IS_PRODUCTION and settings.PAYMENTS_URL and not settings.PAYMENT_RETURN_URL:
        found.append(
            Warning(
                "PAYMENT_RETURN_URL is not set: customers whose bank asks for a confirmation get no link.",
                hint="Set it to a page that thanks the customer, for example https://shop.example/paid.",
                id="backoffice.W004",
            )
        )
    if settings.IS_PRODUCTION and not settings.TEMPORAL_ADDRESS:
        found.append(
            Warning(
                "TEMPORAL_ADDRESS is not set: orders will be accepted and wait.",
                hint="Set TEMPORAL_ADDRESS=host:port, or a profile as the temporalio envconfig describes.",
                id="backoffice.W001",
            )
        )
    return found


@register()
def payloads_can_be_encrypted(**_: object) -> list[CheckMessage]:
    """Without a key the first order would stand in Temporal's history for anybody to read."""
    if not settings.TEMPORAL_PAYLOAD_KEYS and not settings.IS_PRODUCTION:
        # Commands that do not touch Temporal, such as makemigrations, need no key; a worker refuses to start.
        return []
    try:
        parse_keys(settings.TEMPORAL_PAYLOAD_KEYS)
    except InvalidKeys as error:
        return [
            Error(
                f"BACKOFFICE_PAYLOAD_KEYS cannot be used: {error}.",
                hint='Set it to "id:key"; `openssl rand -base64 32` makes a key. ./dev sets it for you. '
                "Rotation: docs/secrecy.md.",
                id="backoffice.E004",
            )
        ]
    return []


@register()
def legacy_payloads_are_listed(**_: object) -> list[CheckMessage]:
    """Without the list the workflows in it would wait; somebody who names a file means one that is there."""
    try:
        if settings.TEMPORAL_LEGACY_PAYLOADS:
            Path(settings.TEMPORAL_LEGACY_PAYLOADS).read_text()
    except (OSError, UnicodeDecodeError) as error:
        return [
            Error(
                f"BACKOFFICE_LEGACY_PAYLOADS cannot be read: {error}.",
                hint="`manage.py list_open_workflows FILE` writes it; unset it once those workflows have ended.",
                id="backoffice.E013",
            )
        ]
    return []


#: NULL before the first migration
MAY_ALTER_HISTORY = "SELECT has_table_privilege(to_regclass('orders_orderevent'), 'UPDATE')"


@register(Tags.database)
def history_is_out_of_reach(databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """In production web and worker run as accounts that cannot alter history; asked by `migrate`, web and worker."""
    if not databases or not settings.IS_PRODUCTION or settings.DATABASE_OWNER_URL:
        return []
    try:
        with connection.cursor() as cursor:
            cursor.execute(MAY_ALTER_HISTORY)
            may_alter = cursor.fetchone()[0]
    except DatabaseError:
        # A database that is away is no reason not to start: everything waits for it and goes on.
        return []
    if not may_alter:
        return []
    return [
        Warning(
            "This process may alter the history: it runs as the owner of the tables.",
            hint="Give migrate and bootstrap DATABASE_OWNER_URL, and web and worker a DATABASE_URL of the roles that "
            "grant_roles makes (docs/history.md).",
            id="backoffice.W002",
        )
    ]


@register(Tags.database)
def connections_are_limited(databases: Sequence[str] | None = None, **_: object) -> list[CheckMessage]:
    """Nothing hangs for ever, and there are as many connections as the pools may ask for; asked by web and worker.

    The formula: ARCHITECTURE.md, "Connections".
    """
    if not databases or settings.PROCESS not in POOLED:
        return []
    try:
        seen = look()
    except DatabaseError:
        return []
    found: list[CheckMessage] = []
    if unlimited := [setting for setting, value in seen.limits.items() if value == "0"]:
        lines = " ".join(f"ALTER ROLE \"{seen.role}\" SET {setting} = '{LIMITS[setting]}';" for setting in unlimited)
        found.append(
            Warning(
                f"The role {seen.role} has no {', '.join(unlimited)}: what hangs in the database hangs for ever.",
                hint=f"`manage.py migrate` and `manage.py grant_roles` set them; or run {lines} "
                "They begin with the next connection.",
                id="backoffice.W005",
            )
        )
    size, processes = settings.DATABASE_POOL_SIZE, settings.DATABASE_PROCESSES
    if size < 1 or processes < 1:
        found.append(
            Error(
                "DATABASE_POOL_SIZE and DATABASE_PROCESSES must be 1 or more.",
                hint="Leave them out, or see ARCHITECTURE.md, Connections.",
                id="backoffice.E014",
            )
        )
    asked = processes * (size + POOLED[settings.PROCESS])
    # A pooler shares its own connections out; how many those may be is its configuration.
    if asked > seen.most and not seen.is_pooled:
        found.append(
            Error(
                f"{processes} of DATABASE_PROCESSES with a pool of {size} may want {asked} connections, and the role "
                f"{seen.role} may have {seen.most}.",
                hint="Lower DATABASE_POOL_SIZE, run fewer processes, or raise the limit: max_connections, or "
                f'ALTER ROLE "{seen.role}" CONNECTION LIMIT ... (ARCHITECTURE.md, Connections).',
                id="backoffice.E015",
            )
        )
    return found


#: hosts that are this machine; an address that begins with a slash is a socket
HERE = {"", "localhost", "127.0.0.1", "::1"}


@register()
def database_is_the_one_we_mean(**_: object) -> list[CheckMessage]:
    """In production somebody between us and the database must be able neither to read nor to answer in its place."""
    if not settings.IS_PRODUCTION:
        return []
    return [
        Warning(
            f"The server of DATABASES[{alias!r}] is not verified: sslmode is {mode}.",
            hint="Add ?sslmode=verify-full&sslrootcert=FILE to its address (DATABASE_URL, DATABASE_DIRECT_URL).",
            id="backoffice.W006",
        )
        for alias, mode in unverified_databases()
    ]


def unverified_databases() -> Iterator[tuple[str, str]]:
    """Alias and sslmode of each database on another machine whose certificate is not verified."""
    for alias, entry in settings.DATABASES.items():
        mode = entry.get("OPTIONS", {}).get("sslmode", "prefer")
        is_elsewhere = any(host not in HERE and not host.startswith("/") for host in entry.get("HOST", "").split(","))
        if mode != "verify-full" and is_elsewhere:
            yield alias, mode


#: processes that have a pool, and the connections that one has besides: a worker's relay listens, and its gate looks
POOLED = {"web": 0, "worker": 2}


@register()
def personal_data_can_be_encrypted(**_: object) -> list[CheckMessage]:
    """Without a key no customer could be stored, and that would show with the first order."""
    try:
        parse_keys(settings.PERSONAL_DATA_KEYS)
    except InvalidKeys as error:
        return [
            Error(
                f"BACKOFFICE_PERSONAL_DATA_KEYS cannot be used: {error}.",
                hint='Set it to "id:key"; `openssl rand -base64 32` makes a key. ./dev sets it for you. '
                "Keep it apart from the database's backups: docs/personal-data.md.",
                id="backoffice.E005",
            )
        ]
    return []


@register()
def digests_can_be_keyed(**_: object) -> list[CheckMessage]:
    """Without a key nobody could ask for a second person, and nothing that was agreed to could be verified."""
    try:
        parse_keys(settings.DIGEST_KEYS)
    except InvalidKeys as error:
        return [
            Error(
                f"BACKOFFICE_DIGEST_KEYS cannot be used: {error}.",
                hint='Set it to "id:key", for web, workers and commands alike; `openssl rand -base64 32` makes a key. '
                "./dev sets it for you. Keep it where nobody who reads the database finds it: docs/secrecy.md.",
                id="backoffice.E027",
            )
        ]
    return []


#: characters; as in the deploy check of Django
SHORTEST_KEY = 50


@register()
def production_is_closed(**_: object) -> list[CheckMessage]:
    """What is handy on a developer's machine and a hole elsewhere."""
    if not settings.IS_PRODUCTION:
        return []
    found: list[CheckMessage] = []
    if settings.DEBUG:
        found.append(Error("DJANGO_DEBUG is on in production.", hint="Leave it out.", id="backoffice.E006"))
    if not settings.ALLOWED_HOSTS or any(host in {"*", "."} for host in settings.ALLOWED_HOSTS):
        found.append(
            Error(
                f"DJANGO_ALLOWED_HOSTS is {','.join(settings.ALLOWED_HOSTS) or 'empty'} in production.",
                hint="Name the hosts that are served, as in backoffice.example.com.",
                id="backoffice.E007",
            )
        )
    key = settings.SECRET_KEY
    if key and (len(key) < SHORTEST_KEY or len(set(key)) < 5 or key.startswith("django-insecure-")):
        found.append(
            Error(
                "DJANGO_SECRET_KEY can be guessed.",
                hint=f"Set at least {SHORTEST_KEY} random characters; `openssl rand -base64 64` makes them.",
                id="backoffice.E008",
            )
        )
    return found


#: seconds; a step that waits for longer is a mistake in the configuration
LONGEST_DELAY = 6 * 3600


@register()
def processes_are_configured(**_: object) -> list[CheckMessage]:
    """A typo here would be found in the evening by a close that does not wait, or by a queue that nobody serves."""
    found: list[CheckMessage] = []
    steps = {step.value for step in ProcessStepName}
    delays: dict[str, int] = settings.PROCESS_DELAYS
    if unknown := sorted(set(delays) - steps):
        found.append(
            Error(
                f"PROCESS_DELAYS names {', '.join(unknown)}, which is no step.",
                hint=f"The steps are {', '.join(sorted(steps))}.",
                id="backoffice.E011",
            )
        )
    if any(not 0 <= seconds <= LONGEST_DELAY for seconds in delays.values()):
        found.append(
            Error(
                "PROCESS_DELAYS has a delay that is out of range.",
                hint=f"Seconds from 0 to {LONGEST_DELAY}.",
                id="backoffice.E011",
            )
        )
    queues = [queue.value for queue in TaskQueue]
    for name, named in (
        ("WORKER_QUEUES", settings.WORKER_QUEUES),
        ("TEMPORAL_QUEUE_THREADS", settings.TEMPORAL_QUEUE_THREADS),
    ):
        if strange := sorted(set(named) - set(queues)):
            found.append(
                Error(
                    f"{name} names {', '.join(strange)}, which is no queue: its worker would wait for ever.",
                    hint=f"The queues are {', '.join(queues)}.",
                    id="backoffice.E012",
                )
            )
    if any(threads < 1 for threads in settings.TEMPORAL_QUEUE_THREADS.values()):
        found.append(
            Error(
                "TEMPORAL_QUEUE_THREADS leaves a queue without a thread.",
                hint="At least 1 for each queue that it names; leave a queue to other workers with WORKER_QUEUES.",
                id="backoffice.E012",
            )
        )
    return found
