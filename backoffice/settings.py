"""All settings in one file, read from the environment; `./dev` sets what a developer needs.

Nothing here has a default that would be dangerous in production: the secret key, the hosts and the database must be
given, and `backoffice.checks` stops the start with a hint where they are not.
"""

from pathlib import Path

import environ
from django.templatetags.static import static

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
    "backoffice.proxies.TrustedProxies",
    "django.middleware.security.SecurityMiddleware",
    "backoffice.browser_rules.BrowserRules",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "backoffice.session_age.SessionAge",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "pghistory.middleware.HistoryMiddleware",
    "axes.middleware.AxesMiddleware",
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
DATABASES = {"default": env.db_url("DATABASE_URL", default="postgres://localhost/backoffice")}
DATABASES["default"].update(
    {
        # Threads of a worker live long: keep the connection and look whether it still stands before each use.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {
            "connect_timeout": 5,
            # A forgotten transaction or a lost lock must end by itself, and sooner than an activity's timeout.
            "options": "-c statement_timeout=30000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000",
        },
    }
)
#: the account that owns the tables, for migrate, bootstrap and grant_roles (see manage.py); web and worker never see it
DATABASE_OWNER_URL = env("DATABASE_OWNER_URL", default="")
DATABASE_ROLE_PREFIX = env("DATABASE_ROLE_PREFIX", default="backoffice")
DATABASE_POOL_SIZE = env.int("DATABASE_POOL_SIZE", default=0)
if DATABASE_POOL_SIZE:
    # The web server runs each request in a thread of its own, so connections must belong to the process.
    DATABASES["default"]["CONN_MAX_AGE"] = 0
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": DATABASE_POOL_SIZE, "timeout": 5}

#: "id:base64key,id2:base64key": the first wraps new customers' keys, all unwrap (docs/personal-data.md)
PERSONAL_DATA_KEYS = env("BACKOFFICE_PERSONAL_DATA_KEYS", default="")

# --- Sign-in ----------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS.append({"NAME": "orders.services.accounts.RevokesTokens"})
LOGIN_URL = "/admin/login/"
LOGIN_REDIRECT_URL = "/admin/"
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# A try during the lock does not prolong it, else a forgotten script keeps a colleague out for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ACCESS_FAILURE_LOG = True
AXES_LOCKOUT_CALLABLE = "backoffice.sign_in.locked_out"

# --- Browser security -------------------------------------------------------------------------------------------------
#: how many proxies of ours stand before the web process; 0 means that no forwarded header is believed
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
#: a session's longest life, and how long it may lie unused; see backoffice/session_age.py
SESSION_COOKIE_AGE = env.int("SESSION_MAX_SECONDS", default=12 * 3600)
SESSION_IDLE_SECONDS = env.int("SESSION_IDLE_SECONDS", default=3600)
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
PERMISSIONS_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=()"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = IS_PRODUCTION
if IS_PRODUCTION:
    SECURE_HSTS_SECONDS = 31_536_000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    if TRUSTED_PROXIES:
        SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        # No page has an inline script, and nothing is loaded from elsewhere.
        "default-src": ["'self'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'self'"],
        "form-action": ["'self'"],
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
#: refunds of an order that add up to more than this many minor units take a second person
REFUND_SECOND_PERSON_OVER_MINOR = env.int("REFUND_SECOND_PERSON_OVER_MINOR", default=50_000)
TOKEN_DEFAULT_DAYS = env.int("TOKEN_DEFAULT_DAYS", default=90)
TOKEN_MAX_DAYS = env.int("TOKEN_MAX_DAYS", default=365)
#: reads and writes by user, the others by address; counted over all web processes (orders/limits.py)
CALLS_PER_MINUTE = {
    "read": env.int("API_READS_PER_MINUTE", default=12_000),
    "write": env.int("API_WRITES_PER_MINUTE", default=12_000),
    "anonymous": env.int("API_ANONYMOUS_PER_MINUTE", default=600),
    "wrong_token": env.int("API_WRONG_TOKENS_PER_MINUTE", default=60),
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
            "VersionStatus",
            "EventType",
            "PlaybookRunStatus",
            "PlaybookStepStatus",
        )
    },
}
#: refusals name this limit; it is checked before the body is parsed
API_MAX_BODY_BYTES = 2 * 1024 * 1024
API_MAX_JSON_DEPTH = 32
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024

# --- Order feeds ------------------------------------------------------------------------------------------------------
FEED_UPLOAD_MAX_BYTES = 5 * 1024 * 1024
FEED_UPLOAD_MAX_ROWS = 5_000
FEED_COMMAND_MAX_BYTES = 200 * 1024 * 1024
FEED_COMMAND_MAX_ROWS = 1_000_000

# --- Temporal ---------------------------------------------------------------------------------------------------------
TEMPORAL_ADDRESS = env("TEMPORAL_ADDRESS", default="")
TEMPORAL_NAMESPACE = env("TEMPORAL_NAMESPACE", default="default")
#: what answers orders/gateway.py; loaded at the first question, since most processes never ask
ENGINE_GATEWAY = "temporal_app.gateway.describe_step" if TEMPORAL_ADDRESS or env("TEMPORAL_PROFILE", default="") else ""
TEMPORAL_UI_URL = env("TEMPORAL_UI_URL", default="")
#: "id:base64key,id2:base64key": the first encrypts what Temporal stores, all decrypt (docs/secrecy.md)
TEMPORAL_PAYLOAD_KEYS = env("BACKOFFICE_PAYLOAD_KEYS", default="")
#: threads and activity slots of one queue in one worker process; each may hold one database connection
TEMPORAL_ACTIVITY_THREADS = env.int("TEMPORAL_ACTIVITY_THREADS", default=24)
WORKER_READY_FILE = env("WORKER_READY_FILE", default="")

# --- Partners ---------------------------------------------------------------------------------------------------------
SIMULATOR_URL = env("SIMULATOR_URL", default="")
STRIPE_API_KEY = env("STRIPE_API_KEY", default="sk_test_simulator" if SIMULATOR_URL else "")
PAYMENTS_URL = env("PAYMENTS_URL", default=SIMULATOR_URL)
CARRIER_URL = env("CARRIER_URL", default=SIMULATOR_URL)
FRAUD_URL = env("FRAUD_URL", default=SIMULATOR_URL)
#: seconds until an unanswered call counts as an unknown outcome; three of them fit into one activity attempt
PARTNER_TIMEOUT_SECONDS = env.float("PARTNER_TIMEOUT_SECONDS", default=4.0)

#: this many failures in a row open a partner's circuit breaker; then it waits, twice as long after each failed try
#: "host:port" of addresses inside our own network that playbooks may call by name; all others must be public
PLAYBOOK_ENDPOINT_HOSTS = env.list("PLAYBOOK_ENDPOINT_HOSTS", default=[])
BREAKER_FAILURES = env.int("BREAKER_FAILURES", default=5)
BREAKER_FIRST_SECONDS = env.float("BREAKER_FIRST_SECONDS", default=5.0)
BREAKER_LONGEST_SECONDS = env.float("BREAKER_LONGEST_SECONDS", default=120.0)
#: what waited for a partner comes back at this many calls a second, so that it is not knocked down again
BREAKER_DRAIN_PER_SECOND = env.float("BREAKER_DRAIN_PER_SECOND", default=20.0)

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
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env("LOG_LEVEL", default="INFO")},
    "filters": {"without_query": {"()": "backoffice.logs.WithoutQuery"}},
    "loggers": {
        "uvicorn.access": {"handlers": ["console"], "filters": ["without_query"], "propagate": False},
        "uvicorn.error": {"handlers": ["console"], "propagate": False},
        "httpx": {"level": "WARNING"},
        "stripe": {"level": "WARNING"},
        "axes": {"level": "WARNING"},
    },
}

UNFOLD = {
    "SITE_TITLE": "Backoffice",
    "SITE_HEADER": "Backoffice",
    "SITE_SUBHEADER": "Orders, as durable processes",
    "SITE_SYMBOL": "deployed_code",
    "SITE_URL": None,
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("orders/favicon.svg")},
    ],
    "SHOW_HISTORY": False,
    "SHOW_VIEW_ON_SITE": False,
    "DASHBOARD_CALLBACK": "orders.dashboard.fill",
    "STYLES": [lambda request: static("orders/backoffice.css")],
    "SCRIPTS": [lambda request: static("orders/live.js")],
    "SIDEBAR": {
        "show_search": True,
        "command_search": True,
        "show_all_applications": False,
        "navigation": "orders.admin.navigation.sections",
    },
    # Model search would walk every table row by row; the callback asks two indexes.
    "COMMAND": {"search_models": False, "search_callback": "orders.admin.navigation.search", "show_history": True},
    "BORDER_RADIUS": "6px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254)",
            "100": "oklch(94% .03 255)",
            "200": "oklch(88% .06 255)",
            "300": "oklch(80% .1 255)",
            "400": "oklch(70% .14 256)",
            "500": "oklch(61% .16 257)",
            "600": "oklch(51% .16 258)",
            "700": "oklch(45% .15 259)",
            "800": "oklch(39% .12 260)",
            "900": "oklch(34% .1 260)",
            "950": "oklch(26% .08 260)",
        },
    },
}
