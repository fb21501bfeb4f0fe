"""Browsers report breaches of the content policy; anybody can, so a report costs and says little."""

import json
import logging
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from backoffice import policy_reports
from backoffice.request_limits import largest_body
from tests.orders.api_calls import token_client

ADDRESS = "/csp-reports"
ONE = {
    "csp-report": {
        "document-uri": "https://backoffice.example/orders/SO-1/?customer=Ada",
        "effective-directive": "script-src-elem",
        "blocked-uri": "https://evil.example/x.js?stolen=1",
    }
}
MANY = [
    {
        "type": "csp-violation",
        "body": {"documentURL": "https://b.example/admin/", "effectiveDirective": "img-src", "blockedURL": "inline"},
    }
] * 3


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(policy_reports, "budget", policy_reports.Budget())
    caplog.set_level(logging.WARNING, logger="backoffice.policy_reports")


def send(body: Any) -> HttpResponse:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Client(enforce_csrf_checks=True).post(ADDRESS, content, content_type="application/csp-report")


def test_every_page_says_where_reports_go(client: Client) -> None:
    headers = client.get("/healthz").headers
    assert f"report-uri {ADDRESS}" in headers["Content-Security-Policy"]
    assert "report-to policy" in headers["Content-Security-Policy"]
    assert headers["Reporting-Endpoints"] == f'policy="{ADDRESS}"'


def test_a_report_is_one_line_without_what_addresses_ask_for(caplog: pytest.LogCaptureFixture) -> None:
    assert send(ONE).status_code == 204
    assert caplog.messages == [
        "Content policy: 'script-src-elem' kept 'evil.example/x.js' from 'backoffice.example/orders/SO-1/'"
    ]


def test_both_forms_of_browsers_are_understood(caplog: pytest.LogCaptureFixture) -> None:
    assert send(MANY).status_code == 204
    assert caplog.messages == ["Content policy: 'img-src' kept 'inline' from 'b.example/admin/'"] * 3


@pytest.mark.parametrize("body", [b"", b"{", b"[" * 10_000, b"[1]", b'{"csp-report": 1}', b'"x"', b"\xff"])
def test_what_is_no_report_is_refused(caplog: pytest.LogCaptureFixture, body: bytes) -> None:
    assert send(body).status_code == 400
    assert [record for record in caplog.records if record.name == policy_reports.__name__] == []


def test_a_large_report_is_refused_before_it_is_read() -> None:
    assert send({"csp-report": {"document-uri": "x" * 20_000}}).status_code == 413
    assert largest_body("POST", ADDRESS) == policy_reports.MAX_BYTES


def test_a_line_break_or_a_long_word_in_a_report_makes_no_other_line(caplog: pytest.LogCaptureFixture) -> None:
    send({"csp-report": {"effective-directive": "x\n2026-01-01 CRITICAL all is lost", "blocked-uri": "y" * 900}})
    (line,) = caplog.messages
    assert "\n" not in line
    assert len(line) < 300


def test_a_flood_is_counted_and_not_told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 60_000.0
    monkeypatch.setattr(policy_reports.time, "monotonic", lambda: now)
    for _ in range(5):
        send(MANY * 5)  # of each request ten are read
    assert len(caplog.messages) == policy_reports.LINES_PER_MINUTE
    now += 60
    send(ONE)
    assert caplog.messages[-2] == "30 more reports about the content policy were left out"


def test_only_posts_are_reports(client: Client) -> None:
    assert client.get(ADDRESS).status_code == 405


@pytest.mark.django_db
def test_options_of_the_page_of_the_documentation_are_refused() -> None:
    answer = token_client().options("/api/docs/")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")
