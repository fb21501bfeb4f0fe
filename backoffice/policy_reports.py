"""Where browsers report what our content policy kept from happening: an attack, or a page that breaks our own rules.

Anybody can send a report, so it is small, believed in nothing, told in one short line, and only so often a minute.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

ADDRESS: str = settings.REPORTS
#: bytes of one request; a browser puts several reports into it
MAX_BYTES = 16 * 1024
MAX_REPORTS = 10
#: lines of one web process
LINES_PER_MINUTE = 20
WORD = 80
logger = logging.getLogger(__name__)


class Budget:
    """So many lines a minute; what exceeds them is counted, and told with the next line."""

    def __init__(self) -> None:
        self.minute, self.lines, self.left_out = 0, 0, 0

    def allows(self) -> bool:
        minute = int(time.monotonic() // 60)
        if minute != self.minute:
            self.minute, self.lines = minute, 0
            if self.left_out:
                logger.warning("%d more reports about the content policy were left out", self.left_out)
                self.left_out = 0
        self.lines += 1
        self.left_out += self.lines > LINES_PER_MINUTE
        return self.lines <= LINES_PER_MINUTE


budget = Budget()


@csrf_exempt
@require_POST
def policy_reports(request: HttpRequest) -> HttpResponse:
    """Both forms: of `report-uri`, one report, and of `report-to`, a list of them."""
    if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES or len(request.body) > MAX_BYTES:
        return HttpResponse(status=413)
    try:
        told = list(_reports(json.loads(request.body)))
    except (ValueError, RecursionError):
        return HttpResponse(status=400)
    for report in told:
        if budget.allows():
            logger.warning(
                "Content policy: %s kept %s from %s",
                _word(_first(report, "effective-directive", "effectiveDirective", "violated-directive")),
                _place(_first(report, "blocked-uri", "blockedURL")),
                _place(_first(report, "document-uri", "documentURL")),
            )
    return HttpResponse(status=204)


def _reports(body: Any) -> Iterator[dict[str, Any]]:
    for one in (body if isinstance(body, list) else [body])[:MAX_REPORTS]:
        report = one.get("csp-report") or one.get("body") if isinstance(one, dict) else None
        if not isinstance(report, dict):
            raise ValueError("no report")
        yield report


def _first(report: dict[str, Any], *names: str) -> Any:
    return next((report[name] for name in names if report.get(name)), "")


def _place(address: Any) -> str:
    """Host and path of an address, without what it asks for: that may hold somebody's name."""
    parts = urlsplit(str(address)[:500])
    return _word(f"{parts.netloc}{parts.path}" if parts.netloc else parts.scheme or parts.path)


def _word(text: Any) -> str:
    return repr(str(text)[:WORD])
