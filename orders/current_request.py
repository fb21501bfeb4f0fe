"""The id of the web request that this code works for, for services that record it: they know nothing of requests."""

from contextvars import ContextVar

#: empty outside of a request: at the command line, in an import, in the engine
request_id: ContextVar[str] = ContextVar("request_id", default="")
