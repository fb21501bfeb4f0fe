"""Log lines tell what failed and where, never what a customer or a partner said."""

import logging

import pytest
from django.conf import settings

from backoffice.logs import WithoutNames, WithoutValues
from temporal_app.codec import UnreadablePayload


def record(**details: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "web", "levelname": "ERROR", "msg": "A step failed", **details})


def test_an_exception_is_logged_with_its_types_and_lines_but_without_its_messages() -> None:
    try:
        try:
            {}["ada@example.com"]
        except KeyError as error:
            raise ValueError("no such buyer: Ada Buyer") from error
    except ValueError as error:
        line = WithoutValues("%(message)s").format(record(exc_info=(type(error), error, error.__traceback__)))
    assert "ada@example.com" not in line.replace('{}["ada@example.com"]', "")
    assert "Ada Buyer" not in line.replace('raise ValueError("no such buyer: Ada Buyer") from error', "")
    assert "ValueError: (its message is not logged)" in line
    assert "caused by\nKeyError" in line
    assert "test_logs.py" in line


def test_what_another_handler_made_of_the_exception_is_not_taken_over() -> None:
    failed = record(exc_info=(KeyError, KeyError("Ada"), None), exc_text="KeyError: Ada")
    assert "Ada" not in WithoutValues().format(failed)


def test_an_error_whose_words_are_ours_is_told_with_them() -> None:
    error = UnreadablePayload("the key 'old' is missing")
    assert "the key 'old' is missing" in WithoutValues().format(record(exc_info=(type(error), error, None)))


def test_the_handlers_of_the_settings_format_that_way() -> None:
    formatters = {type(handler.formatter) for handler in logging.getLogger().handlers if handler.formatter}
    assert WithoutValues in formatters


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("/admin/?q=ada@example.com", "/admin/"),
        ("/api/customers/ada%40example.com/erase/", "/api/customers/(hidden)/erase/"),
        ("/api/customers/ZB-4711/erase/", "/api/customers/(hidden)/erase/"),
        ("/admin/orders/apitoken/0f3cA9/change/", "/admin/orders/apitoken/(hidden)/change/"),
        ("/admin/orders/customer/17/change/", "/admin/orders/customer/17/change/"),
        ("/api/orders/SO-100017/", "/api/orders/SO-100017/"),
        ("/api/imports/3f0c8f0e-1111-4222-8333-944445555666/", "/api/imports/3f0c8f0e-1111-4222-8333-944445555666/"),
        ("/customers/ada", "/(no page of ours)"),
        ("/api/nothing/ada/", "/api/(hidden)/(hidden)/"),
        ("/static/admin/a.js", "/static/admin/a.js"),
    ],
)
def test_a_line_about_a_request_has_no_query_and_nobodys_name(asked: str, shown: str) -> None:
    access = record(msg='%s - "%s %s HTTP/%s" %d', args=("1.2.3.4", "GET", asked, "1.1", 200))
    refused = record(msg="%s: %s", args=("Not Found", asked))
    assert WithoutNames().filter(access)
    assert WithoutNames().filter(refused)
    assert access.getMessage() == f'1.2.3.4 - "GET {shown} HTTP/1.1" 200'
    assert refused.getMessage() == f"Not Found: {shown}"


def test_the_handlers_of_the_settings_leave_names_out() -> None:
    handlers = settings.LOGGING["handlers"]
    assert all("without_names" in handler["filters"] for handler in handlers.values())
    assert settings.LOGGING["filters"]["without_names"]["()"] == "backoffice.logs.WithoutNames"


def test_a_recursion_fills_no_log() -> None:
    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        raise RecursionError

    try:
        deeper(500)
    except RecursionError as error:
        line = WithoutValues().format(record(exc_info=(type(error), error, error.__traceback__)))
    assert "frames are left out" in line
    assert len(line) < 10_000


def test_a_long_chain_of_causes_is_cut() -> None:
    error = ValueError()
    for _ in range(50):
        following = ValueError()
        following.__cause__, error = error, following
    line = WithoutValues().format(record(exc_info=(type(error), error, None)))
    assert line.count("ValueError") == 5
    assert "more causes, which are left out" in line
