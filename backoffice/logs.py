"""Log lines without what customers and partners said.

An exception's message may hold anything: PostgreSQL quotes the values of a row, a KeyError its key, a partner's answer
a name. Logs live longer than orders and are read by more people, so an exception is told by its types and the lines it
passed, never by its message. An address may hold a search for an e-mail, or a customer's reference; both are left out.
"""

import logging
import re
import traceback
from types import TracebackType
from urllib.parse import unquote

from django.urls import Resolver404, resolve

#: of an exception: so many frames at each end, and so many causes; a recursion has thousands
FRAMES, CAUSES = 20, 5
#: parts of an address that name nobody: ids and numbers, and the words of the route itself
HARMLESS = re.compile(r"[0-9]{1,19}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|SO-[0-9]{1,12}|")
ROUTE_WORDS = re.compile(r"[\w.-]+")
#: served beside the addresses of views
FILES = ("/static/", "/favicon")

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class WithoutValues(logging.Formatter):
    """Formats an exception as its chain of types, each with the lines it passed.

    An error class whose messages are ours throughout may say `safe_to_log = True` and is told with its words.
    """

    def format(self, record: logging.LogRecord) -> str:
        # Handlers share what the first of them made of the exception; a plain one must not decide for us.
        record.exc_text = None
        return super().format(record)

    def formatException(self, ei: ExcInfo) -> str:  # noqa: N802 - logging's name
        error = ei[1]
        told: list[str] = []
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            if len(told) == CAUSES:
                told.append("more causes, which are left out")
                break
            lines = _lines(error)
            kind = getattr(error, "type", None)
            named = type(error).__qualname__ + (f" of type {kind}" if isinstance(kind, str) else "")
            words = str(error) if getattr(error, "safe_to_log", False) else "(its message is not logged)"
            told.append(f"{named}: {words}\n{lines}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "caused by\n".join(told).rstrip()


def _lines(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    left_out = len(frames) - 2 * FRAMES
    if left_out <= 0:
        return "".join(frames.format())
    ends = (traceback.StackSummary.from_list(part).format() for part in (frames[:FRAMES], frames[-FRAMES:]))
    return f"  {left_out} frames are left out\n".join("".join(end) for end in ends)


class WithoutNames(logging.Filter):
    """Addresses without what somebody else put into them: a query, a customer's reference, a page that there is not.

    For the handler, because uvicorn's access log and Django's lines on refused requests name the path as an argument.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                shown(one) if isinstance(one, str) and one.startswith("/") else one for one in record.args
            )
        return True


def shown(path: str) -> str:
    """The path as our own addresses have it, with ids and numbers only."""
    path = unquote(path.partition("?")[0])
    if path.startswith(FILES):
        return path
    try:
        found = resolve(path)
    except Resolver404:
        return "/(no page of ours)"
    words = set(ROUTE_WORDS.findall(found.route))
    parts = (part if part in words or HARMLESS.fullmatch(part) else "(hidden)" for part in path.split("/"))
    return "/".join(parts)
