"""Who signs in, and how: passwords, second factors, sessions, single sign-on, and what happens to those who guess."""

from urllib.parse import urlsplit

import environ

env = environ.Env()

_IS_PRODUCTION = env("BACKOFFICE_ENV", default="production") == "production"

# --- Passwords --------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    # 20,000 of the passwords that are found most often in breaches
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "backoffice.password_rules.NotGuessed"},
    {"NAME": "orders.services.accounts.RevokesTokens"},
]
#: seconds that a link to choose a password works
PASSWORD_RESET_TIMEOUT = env.int("PASSWORD_LINK_SECONDS", default=24 * 3600)

# --- Signing in -------------------------------------------------------------------------------------------------------
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/admin/"
LOGOUT_REDIRECT_URL = "/accounts/login/"
#: who writes the letters of orders/services/accounts.py
ACCOUNT_MAIL = "backoffice.account_mail"
ACCOUNT_ADAPTER = "backoffice.account_adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Backoffice] "
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if _IS_PRODUCTION else "http"
#: the end of a session is ours to decide: backoffice/session_age.py
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
#: how many addresses (or sign-ins) ask for how much: axes counts those with a password, allauth the rest
ACCOUNT_RATE_LIMITS = {"login": False, "login_failed": "5/5m/key"}

# --- Second factor ----------------------------------------------------------------------------------------------------
#: roles that need one; "superuser" stands for superusers
SECOND_FACTOR_ROLES = env.list("SECOND_FACTOR_ROLES", default=["lead", "superuser"])
#: names of accounts that need none, such as the demo login of ./dev; nobody's in production
SECOND_FACTOR_EXEMPT = [] if _IS_PRODUCTION else env.list("SECOND_FACTOR_EXEMPT", default=[])
#: seconds after which money, tokens, accounts and keys ask for the factor again, or for the password where there is
#: none; 0 for never
ASK_AGAIN_AFTER_SECONDS = env.int("ASK_AGAIN_AFTER_SECONDS", default=600)
MFA_ADAPTER = "backoffice.account_adapter.FactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Backoffice"
MFA_RECOVERY_CODES_SHOW_ONCE = True
#: mail addresses are given by whoever makes accounts; nobody adds one
MFA_ALLOW_UNVERIFIED_EMAIL = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _IS_PRODUCTION

# --- Single sign-on (OpenID Connect); off unless SSO_SERVER_URL is set ------------------------------------------------
SSO_SERVER_URL = env("SSO_SERVER_URL", default="")
SSO_CLIENT_ID = env("SSO_CLIENT_ID", default="")
SSO_CLIENT_SECRET = env("SSO_CLIENT_SECRET", default="")
#: what the button says: "Sign in with ..."
SSO_NAME = env("SSO_NAME", default="single sign-on")
SOCIALACCOUNT_ADAPTER = "backoffice.single_sign_on.SingleSignOn"
SOCIALACCOUNT_ONLY = False
SOCIALACCOUNT_STORE_TOKENS = False
SOCIALACCOUNT_PROVIDERS = {
    "openid_connect": {
        "OAUTH_PKCE_ENABLED": True,
        "APPS": [
            {
                "provider_id": "sso",
                "name": SSO_NAME,
                "client_id": SSO_CLIENT_ID,
                "secret": SSO_CLIENT_SECRET,
                "settings": {"server_url": SSO_SERVER_URL},
            }
        ]
        if SSO_SERVER_URL
        else [],
    }
}
_SSO_ADDRESS = urlsplit(SSO_SERVER_URL)
#: browsers hold a form to its redirects too
SSO_ORIGINS = [f"{_SSO_ADDRESS.scheme}://{_SSO_ADDRESS.netloc}"] if SSO_SERVER_URL else []

# --- Guessing ---------------------------------------------------------------------------------------------------------
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
# A try during the lock does not prolong it, else a forgotten script keeps a colleague out for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ACCESS_FAILURE_LOG = True
# axes deletes the oldest above its limit, which the web may not: what shows an attack is not its own to remove.
AXES_ACCESS_FAILURE_LOG_PER_USER_LIMIT = 2**62
#: wrong sign-ins within an hour, from wherever they come, after which only familiar places are let through
WRONG_SIGN_INS_PER_NAME = env.int("WRONG_SIGN_INS_PER_NAME", default=30)
WRONG_SIGN_INS_PER_ADDRESS = env.int("WRONG_SIGN_INS_PER_ADDRESS", default=100)
WRONG_SIGN_INS_IN_ALL = env.int("WRONG_SIGN_INS_IN_ALL", default=1_000)
#: wrong sign-ins at one name within an hour, of which its owner is told by mail
WRONG_SIGN_INS_BEFORE_WARNING = env.int("WRONG_SIGN_INS_BEFORE_WARNING", default=10)
AXES_HANDLER = "backoffice.guessing.Handler"
AXES_LOCKOUT_CALLABLE = "backoffice.sign_in.locked_out"
