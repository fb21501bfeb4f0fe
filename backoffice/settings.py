"""All settings but those of accounts, partners and requests, read from the environment; `./dev` sets what it needs.

Nothing here has a default that would be dangerous in production: the secret key, the hosts and the database must be
given, and `backoffice.checks` stops the start with a hint where they are not.
"""

from pathlib import Path

import environ

from backoffice.account_settings import *
from backoffice.database_url import database
from backoffice.partner_settings import *
from backoffice.request_settings import *
from backoffice.theme import UNFOLD as UNFOLD

env = environ.Env()
BASE_DIR = Path(__file__).resolve().parent.parent

# --- Where we run -----------------------------------------------------------------------------------------------------
#: "dev" for `./dev`, "test" for pytest, "production" for everything else
ENVIRONMENT = env("BACKOFFICE_ENV", default="production")
IS_PRODUCTION = ENVIRONMENT == "production"
DEBUG = env.bool("DJANGO_DEBUG", default=False)
SECRET_KEY = env("DJANGO_SECRET_KEY", default="")
ALLOWED_HOSTS = env.list("DJANGO_ALLOWED_HOSTS", default=[])
CSRF_TRUSTED_ORIGINS = env.list("DJANGO_CSRF_TRUSTED_ORIGINS", default=[])

# --- Applications -----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "backoffice",
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "knox",
    "pghistory",
    "pgtrigger",
    "rest_framework",
    "orders",
    "temporal_app",
]
MIDDLEWARE = [
    "backoffice.web_clock.NoteClock",
    "backoffice.proxies.TrustedProxies",
    "backoffice.browser_rules.BrowserRules",
    "django.middleware.security.SecurityMiddleware",
    "backoffice.transport.EncryptedCalls",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "backoffice.browser_rules.PrivatePages",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "backoffice.session_age.SessionAge",
    "backoffice.transport.NamedHosts",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "axes.middleware.AxesMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "backoffice.second_factor.SecondFactor",
    "backoffice.asking_again.AskAgain",
    "orders.request_ids.RememberRequestId",
    "orders.refused_requests.RefusedRequests",
]
ROOT_URLCONF = "backoffice.urls"
WSGI_APPLICATION = "backoffice.wsgi.application"
ASGI_APPLICATION = "backoffice.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Database ---------------------------------------------------------------------------------------------------------
#: "web" or "worker", as their entry points say: they share a pool among their threads; a command has one connection
PROCESS = env("BACKOFFICE_PROCESS", default="command")
#: connections of one process; how many fit: ARCHITECTURE.md, "Connections"
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default={"web": 10, "worker": 19}.get(PROCESS, 0))
#: how many processes work with this account at most
DATABASE_PROCESSES = env.int("DATABASE_PROCESSES", default=1)
DATABASES = {
    "default": database(
        env("DATABASE_URL", default="postgres://localhost/backoffice"),
        name=f"backoffice {PROCESS}",
        pool_size=DATABASE_POOL_SIZE,
    )
}
#: PostgreSQL itself, where DATABASE_URL leads to a pooler: for what needs a session of its own
DATABASE_DIRECT_URL = env("DATABASE_DIRECT_URL", default="")
if DATABASE_DIRECT_URL:
    DATABASES["direct"] = database(DATABASE_DIRECT_URL, name=f"backoffice {PROCESS}")
#: the account that owns the tables, for migrate, bootstrap and grant_roles (see manage.py); web and worker never see it
DATABASE_OWNER_URL = env("DATABASE_OWNER_URL", default="")
DATABASE_ROLE_PREFIX = env("DATABASE_ROLE_PREFIX", default="backoffice")

CACHES = {
    # What allauth counts must hold for all web processes together.
    "default": {"BACKEND": "backoffice.shared_cache.SharedCache"},
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
}

#: "id:base64key,id2:base64key": the first wraps new customers' keys, all unwrap (docs/personal-data.md)
PERSONAL_DATA_KEYS = env("BACKOFFICE_PERSONAL_DATA_KEYS", default="")
#: "id:base64key,id2:base64key": the first signs approvals and playbooks, all verify (docs/secrecy.md)
DIGEST_KEYS = env("BACKOFFICE_DIGEST_KEYS", default="")

# --- Browser security -------------------------------------------------------------------------------------------------
#: how many proxies of ours stand before the web process; 0 means that no forwarded header is believed
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "backoffice.sessions"
#: a session's longest life, and how long it may lie unused; see backoffice/session_age.py
SESSION_COOKIE_AGE = env.int("SESSION_MAX_SECONDS", default=12 * 3600)
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=3600)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_PRODUCTION
#: probes come by address and in clear text, and hear nothing secret; calls are refused (backoffice/transport.py)
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^api/"]
if IS_PRODUCTION:
    # No other host of the domain can set a cookie of such a name.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if TRUSTED_PROXIES:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
#: backoffice/policy_reports.py
REPORTS = "/csp-reports"
REPORTING_ENDPOINTS = f'policy="{REPORTS}"'
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        # No page has an inline script, and nothing is loaded from elsewhere.
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'", *SSO_ORIGINS],
        # Browsers know one or the other; `Reporting-Endpoints` says where the name leads.
        "report-uri": [REPORTS],
        "report-to": ["policy"],
    }
}
#: what pages inside Unfold's frame need besides; see backoffice/browser_rules.py
CONTENT_POLICY_OF_THE_FRAME = {"script-src": ["'unsafe-eval'"], "style-src": ["'unsafe-inline'"]}

# --- API --------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "orders.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
        "orders.api.authentication.Unknown",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["orders.api.throttles.PerUser"],
    # Deny by default: a view that names no permission answers nobody.
    "DEFAULT_PERMISSION_CLASSES": ["orders.api.permissions.DenyAll"],
    "DEFAULT_PARSER_CLASSES": ["orders.api.parsers.BoundedJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "orders.api.pagination.NewestFirst",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "orders.api.problems.problem_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    # `?format=` is one more parameter that we do not know; formats are asked for with Accept.
    "URL_FORMAT_OVERRIDE": None,
}
REST_KNOX = {"AUTH_HEADER_PREFIX": "Token", "TOKEN_TTL": None}
KNOX_TOKEN_MODEL = "orders.ApiToken"
#: of one person, in one web process
DOWNLOADS_AT_ONCE = env.int("DOWNLOADS_AT_ONCE", default=3)
#: seconds after which a download is ended whose reader takes nothing
DOWNLOAD_STALL_SECONDS = env.float("DOWNLOAD_STALL_SECONDS", default=300)
#: refunds of an order that add up to more than this many minor units take a second person
REFUND_SECOND_PERSON_OVER_MINOR = env.int("REFUND_SECOND_PERSON_OVER_MINOR", default=50_000)
#: hours after which a new account, a new password or a new role may approve what others ask for
FRESH_APPROVER_HOURS = env.int("FRESH_APPROVER_HOURS", default=24)
#: what goes out without a second person, in minor units: refunds of one person in a day, and to one customer in 30 days
REFUND_ALONE_PER_DAY_MINOR = env.int("REFUND_ALONE_PER_DAY_MINOR", default=200_000)
REFUND_ALONE_PER_CUSTOMER_MINOR = env.int("REFUND_ALONE_PER_CUSTOMER_MINOR", default=100_000)
#: the most that vouchers come to, in minor units: of an order, of a customer in 30 days, of one person in a day
VOUCHERS_PER_ORDER_MINOR = env.int("VOUCHERS_PER_ORDER_MINOR", default=10_000)
VOUCHERS_PER_CUSTOMER_MINOR = env.int("VOUCHERS_PER_CUSTOMER_MINOR", default=20_000)
VOUCHERS_PER_DAY_MINOR = env.int("VOUCHERS_PER_DAY_MINOR", default=50_000)
#: how long a paused step stands still unless the person says how long, and how long at most; holds may be longer
STEP_PAUSE_MINUTES = env.int("STEP_PAUSE_MINUTES", default=60)
STEP_PAUSE_MAX_MINUTES = env.int("STEP_PAUSE_MAX_MINUTES", default=7 * 24 * 60)
HOLD_MAX_DAYS = env.int("HOLD_MAX_DAYS", default=90)
TOKEN_DEFAULT_DAYS = env.int("TOKEN_DEFAULT_DAYS", default=90)
TOKEN_MAX_DAYS = env.int("TOKEN_MAX_DAYS", default=365)
#: reads and writes by user, the others by address; counted over all web processes (orders/limits.py)
CALLS_PER_MINUTE = {
    "read": env.int("API_READS_PER_MINUTE", default=12_000),
    "write": env.int("API_WRITES_PER_MINUTE", default=12_000),
    "anonymous": env.int("API_ANONYMOUS_PER_MINUTE", default=600),
    "wrong_token": env.int("API_WRONG_TOKENS_PER_MINUTE", default=60),
    "gateway_event": env.int("GATEWAY_EVENTS_PER_MINUTE", default=6_000),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Backoffice API",
    "DESCRIPTION": "Place orders, start them, read where they stand and why.",
    "VERSION": "0.1.0",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.IsAuthenticated"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        word: f"orders.api.schema.Words.{word}"
        for word in (
            "OrderStatus",
            "PaymentStatus",
            "ShipmentStatus",
            "CommandStatus",
            "FeedStatus",
            "ApprovalStatus",
            "DisputeStatus",
            "QualityStatus",
            "ProcessStatus",
            "ProcessStepStatus",
            "BatchStatus",
            "BatchItemStatus",
            "ExportStatus",
            "ExportFormat",
            "FeedFormat",
            "VersionStatus",
            "EventType",
            "PlaybookRunStatus",
            "PlaybookStepStatus",
            "RecoveryDecision",
            "IncidentDecision",
            "RestoreDecision",
        )
    },
}

# --- Order feeds ------------------------------------------------------------------------------------------------------
FEED_UPLOAD_MAX_BYTES = 5 * 1024 * 1024
FEED_UPLOAD_MAX_ROWS = 5_000
#: orders of imports that are under way at once; more wait in the outbox, where everything else overtakes them
BULK_ORDERS_UNDER_WAY = env.int("BULK_ORDERS_UNDER_WAY", default=100)
#: how long the file of an import, and its rows, are kept after the import has ended
FEED_FILES_KEPT_DAYS = env.int("FEED_FILES_KEPT_DAYS", default=30)
FEED_COMMAND_MAX_BYTES = 200 * 1024 * 1024
FEED_COMMAND_MAX_ROWS = 1_000_000

# --- Exports ----------------------------------------------------------------------------------------------------------
#: rows of one export; a sheet of a workbook ends at 1,048,576
EXPORT_MAX_ROWS = env.int("EXPORT_MAX_ROWS", default=500_000)
#: of one person, that are not made yet
EXPORTS_OPEN_PER_PERSON = env.int("EXPORTS_OPEN_PER_PERSON", default=5)
#: of one person, that have not ended
IMPORTS_OPEN_PER_PERSON = env.int("IMPORTS_OPEN_PER_PERSON", default=10)
BATCHES_OPEN_PER_PERSON = env.int("BATCHES_OPEN_PER_PERSON", default=10)
#: how long the file of an export is kept
EXPORT_KEEP_DAYS = env.int("EXPORT_KEEP_DAYS", default=7)

# --- Temporal ---------------------------------------------------------------------------------------------------------
TEMPORAL_ADDRESS = env("TEMPORAL_ADDRESS", default="")
TEMPORAL_NAMESPACE = env("TEMPORAL_NAMESPACE", default="default")
#: what answers orders/gateway.py; loaded at the first question, since most processes never ask
ENGINE_GATEWAY = "temporal_app.gateway.describe_step" if TEMPORAL_ADDRESS or env("TEMPORAL_PROFILE", default="") else ""
TEMPORAL_UI_URL = env("TEMPORAL_UI_URL", default="")
#: "id:base64key,id2:base64key": the first encrypts what Temporal stores, all decrypt (docs/secrecy.md)
TEMPORAL_PAYLOAD_KEYS = env("BACKOFFICE_PAYLOAD_KEYS", default="")
#: a file of workflow ids that ran before payloads were bound to a purpose (`manage.py list_open_workflows`)
TEMPORAL_LEGACY_PAYLOADS = env("BACKOFFICE_LEGACY_PAYLOADS", default="")
#: threads and activity slots of one queue in one worker process, besides the lanes, whose defaults are in
#: temporal_app/task_queues.py: 24 * 3 queues + 80 of the lanes. They share the pool of DATABASE_POOL_SIZE
TEMPORAL_ACTIVITY_THREADS = env.int("TEMPORAL_ACTIVITY_THREADS", default=24)
#: "fraud=32;mail=2": other numbers for some queues
TEMPORAL_QUEUE_THREADS: dict[str, int] = env.dict("TEMPORAL_QUEUE_THREADS", cast={"value": int}, default={})
#: the task queues that `run_worker` polls unless told otherwise; all of them when empty
WORKER_QUEUES = env.list("WORKER_QUEUES", default=[])
WORKER_READY_FILE = env("WORKER_READY_FILE", default="")

# --- Processes --------------------------------------------------------------------------------------------------------
#: "reconcile=60;send_summary=120": seconds before a step of a process begins, instead of those in its definition
PROCESS_DELAYS: dict[str, int] = env.dict("PROCESS_DELAYS", cast={"value": int}, default={})
#: who gets the summary of the day
DAY_END_MAIL_TO = env.list("DAY_END_MAIL_TO", default=[])
#: parcels that one day-end close asks the carrier about, those first that were not asked for the longest time
DAY_END_PARCELS = env.int("DAY_END_PARCELS", default=50_000)

# --- Mail ------------------------------------------------------------------------------------------------------------
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
#: without a mail server nothing is sent, and every notice says so
EMAIL_HOST = env("EMAIL_HOST", default="")
EMAIL_PORT = env.int("EMAIL_PORT", default=25)
EMAIL_HOST_USER = env("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=False)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", default=False)
#: seconds; an attempt to send a notice has thirty in all
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=8)
DEFAULT_FROM_EMAIL = env("NOTICE_FROM", default="orders@localhost")

# --- Errors, sorted ---------------------------------------------------------------------------------------------------
#: an undo whose partner has not answered for this long becomes a task, while it goes on trying
OUTCOME_UNKNOWN_AFTER_SECONDS = env.int("OUTCOME_UNKNOWN_AFTER_SECONDS", default=3600)
#: a step at a partner that has been open for this long may have run out of its time, which is 20 hours; only then may
#: its order be undone without a no of the partner
STEP_OUT_OF_TIME_SECONDS = env.int("STEP_OUT_OF_TIME_SECONDS", default=19 * 3600)
#: so many declined orders of one customer within a week are looked into by staff
DECLINES_BEFORE_ESCALATION = env.int("DECLINES_BEFORE_ESCALATION", default=3)

# --- Sweeper and quality control -------------------------------------------------------------------------------------
#: seconds that an order may be in a status before the sweep says so; others have deadlines of their own, or none
SWEEP_DEADLINE_SECONDS = {
    "queued": env.int("SWEEP_QUEUED_SECONDS", default=300),
    "reserving": env.int("SWEEP_RESERVING_SECONDS", default=300),
    "checking": env.int("SWEEP_CHECKING_SECONDS", default=900),
    "charging": env.int("SWEEP_CHARGING_SECONDS", default=900),
    "shipping": env.int("SWEEP_SHIPPING_SECONDS", default=900),
    "undoing": env.int("SWEEP_UNDOING_SECONDS", default=3_600),
}
#: processes that are gone at once and are undone unasked; more of them wait for a lead
SWEEP_REPAIRS_AT_ONCE = env.int("SWEEP_REPAIRS_AT_ONCE", default=10)
#: how old an entry of the payment gateway's lists is when the sweep compares it with our books for the first time
SWEEP_BOOKS_SETTLING_SECONDS = env.int("SWEEP_BOOKS_SETTLING_SECONDS", default=120)
#: the most that reading those lists may take of PARTNER_CALLS_PER_SECOND
SWEEP_BOOKS_SHARE = env.float("SWEEP_BOOKS_SHARE", default=0.1)
#: share of a day's shipped orders that is drawn for checking: at least one, at most so many
QUALITY_SAMPLE_SHARE = env.float("QUALITY_SAMPLE_SHARE", default=0.02)
QUALITY_SAMPLE_MOST = env.int("QUALITY_SAMPLE_MOST", default=25)

# --- The rest ---------------------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "static/"
# Collected for production only; elsewhere whitenoise finds the files where they are.
STATIC_ROOT = BASE_DIR / "staticfiles" if IS_PRODUCTION else None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not IS_PRODUCTION
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PGHISTORY_ADMIN_ALL_EVENTS = False

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "backoffice.logs.WithoutValues", "format": "%(asctime)s %(levelname)s %(name)s %(message)s"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["without_names"]}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    "filters": {"without_names": {"()": "backoffice.logs.WithoutNames"}},
    "loggers": {
        "uvicorn.access": {"handlers": ["console"], "propagate": False},
        "uvicorn.error": {"handlers": ["console"], "propagate": False},
        "httpx": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}
