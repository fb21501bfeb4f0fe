"""What one request may take: seconds, bytes, and how many of one address at once.

See `backoffice.request_limits` and `backoffice.http_protocol`.
"""

import os

import environ

env = environ.Env()

#: refusals name this limit; it is checked before the body is parsed
API_MAX_BODY_BYTES = 2 * 1024 * 1024
API_MAX_JSON_DEPTH = 32
#: in all objects of a body together
API_MAX_JSON_KEYS = 10_000
DATA_UPLOAD_MAX_MEMORY_SIZE = 6 * 1024 * 1024

#: seconds until the headers and until the body have arrived
WEB_HEADER_SECONDS = env.float("WEB_HEADER_SECONDS", default=10)
WEB_BODY_SECONDS = env.float("WEB_BODY_SECONDS", default=60)
#: outside production one address is a whole company of programs
_CALLERS = 1 if env("BACKOFFICE_ENV", default="production") == "production" else 20
#: of one address in one web process: requests that are answered, and bodies that are on their way
WEB_REQUESTS_PER_ADDRESS = env.int("WEB_REQUESTS_PER_ADDRESS", default=100 * _CALLERS)
WEB_BODIES_PER_ADDRESS = env.int("WEB_BODIES_PER_ADDRESS", default=50 * _CALLERS)
#: password checks in one web process: at once, and with those that wait, of one address and in all
WEB_PASSWORDS_AT_ONCE = env.int("WEB_PASSWORDS_AT_ONCE", default=max(1, (os.cpu_count() or 2) // 2))
WEB_PASSWORDS_PER_ADDRESS = env.int("WEB_PASSWORDS_PER_ADDRESS", default=5 * _CALLERS)
WEB_PASSWORDS_WAITING = env.int("WEB_PASSWORDS_WAITING", default=50 * _CALLERS)
