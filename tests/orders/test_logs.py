"""Log lines tell what failed and where, never what a customer or a partner said."""

import logging

from backoffice.logs import WithoutQuery, WithoutValues
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


def test_an_access_line_has_no_query() -> None:
    asked = record(msg='%s - "%s %s HTTP/%s" %d', args=("1.2.3.4", "GET", "/admin/?q=ada@example.com", "1.1", 200))
    assert WithoutQuery().filter(asked)
    assert asked.getMessage() == '1.2.3.4 - "GET /admin/ HTTP/1.1" 200'


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
