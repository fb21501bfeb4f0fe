"""Whatever PostgreSQL says that means "not now" is a 503 with Retry-After, at every door; a bug stays a 500."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connection
from django.test import Client
from django.urls import NoReverseMatch, URLPattern, get_resolver, reverse
from psycopg_pool import PoolTimeout
from pytest_django.fixtures import Settings

from orders.database_errors import is_passing, is_write_refused
from orders.models import GatewayEvent, Order
from orders.services.fraud import current_rules
from orders.vocabulary import Channel
from tests.orders import test_gateway_events as gateway
from tests.orders.access_attempts import Attempt, Person
from tests.orders.api_calls import assert_problem, order_body, post_order
from tests.orders.database_trouble import (
    DISK_FULL,
    READ_ONLY,
    SHUTDOWN,
    TOO_MANY,
    failing,
    full_disk,
    of_state,
    read_only_database,
)
from tests.orders.test_access_matrix import ATTEMPTS

NOT_NOW = (READ_ONLY, DISK_FULL, "53200", TOO_MANY, SHUTDOWN, "57P02", "57P03", "57014", "58000", "58030")
MEETINGS = ("08006", "25P03", "40001", "40P01", "55P03")
OURS = ("22001", "23502", "23505", "25P02", "42501", "42P01")
AT_WEB_DOORS = [attempt for attempt in ATTEMPTS if attempt.channel is not Channel.CLI]
#: they only lead to the page that asks, with the ticked orders in its address
LEAD_ON = {"OrderAdmin.run_batch", "OrderAdmin.export_orders"}
#: every kind of argument that an address of ours takes
SAMPLES = (
    "1",
    "a",
    "SO-1",
    "11111111-1111-1111-1111-111111111111",
    "payments",
    "backoffice:sweep",
    "orders",
    "main.css",
)


@pytest.mark.parametrize("state", NOT_NOW + MEETINGS)
def test_trouble_that_passes_is_told_by_its_sqlstate(state: str) -> None:
    assert is_passing(of_state(state))


@pytest.mark.parametrize("state", OURS)
def test_an_error_that_our_code_made_does_not_pass(state: str) -> None:
    assert not is_passing(of_state(state))


def test_no_free_connection_and_no_answer_pass_and_an_error_raised_from_one_does_too() -> None:
    assert is_passing(PoolTimeout("couldn't get a connection after 5.00 sec"))
    assert is_passing(OperationalError("server closed the connection unexpectedly"))
    outer = KeyError("x")
    outer.__cause__ = of_state(READ_ONLY)
    assert is_passing(outer)
    assert not is_passing(KeyError("x"))
    assert not is_passing(None)


@pytest.mark.parametrize("state", [READ_ONLY, DISK_FULL, "53200", "58030"])
def test_a_database_that_takes_no_writes_can_still_be_read(state: str) -> None:
    assert is_write_refused(of_state(state))


@pytest.mark.parametrize("state", [TOO_MANY, SHUTDOWN, "57P03", "08006", "40P01", "23505"])
def test_other_trouble_says_nothing_of_reading(state: str) -> None:
    assert not is_write_refused(of_state(state))


@pytest.fixture
def everybody(db: None) -> Person:
    person = Person(role="superuser", user=User.objects.create_superuser("a-superuser"))
    _ = person.browser, person.program  # signing in writes
    return person


@pytest.mark.django_db
@pytest.mark.parametrize("attempt", AT_WEB_DOORS, ids=str)
def test_every_command_at_every_door_of_the_web_is_turned_away_while_nothing_can_be_written(
    attempt: Attempt, everybody: Person
) -> None:
    thing = attempt.prepare()
    with failing(READ_ONLY) as struck:
        answer = attempt.do(everybody, thing)

    assert answer is not None
    if (answer.status_code == 200 and attempt.reads) or attempt.door in LEAD_ON:
        return
    assert struck.count
    assert (answer.status_code, answer.get("Retry-After")) == (503, "5"), f"{struck.first}\n{answer.content!r}"


SIGN_OUT = {"/admin/logout/", "/accounts/logout/"}
#: the session keeps what is being enrolled
ENROLMENTS = {"/accounts/2fa/totp/activate/", "/accounts/2fa/webauthn/add/"}


def routes() -> Iterator[str]:
    """An address for every pattern that the product knows."""
    yield from _routes(get_resolver().url_patterns, "", [])


def _routes(patterns: Any, space: str, outer: list[str]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLPattern):
            if pattern.name:
                yield from _addresses(f"{space}{pattern.name}", pattern, outer)
        else:
            inner = f"{space}{pattern.namespace}:" if pattern.namespace else space
            yield from _routes(pattern.url_patterns, inner, [*outer, *pattern.pattern.regex.groupindex])


def _addresses(name: str, pattern: URLPattern, outer: list[str]) -> Iterator[str]:
    wanted = [*outer, *(list(pattern.pattern.regex.groupindex) or list(pattern.pattern.converters))]
    named = re.findall(r"\(\?P<\w+>([\w|-]+)\)", pattern.pattern.regex.pattern)
    samples = [*SAMPLES, *(choices.split("|")[0] for choices in named)]
    address = next(_filled(name, wanted, {}, samples), "")
    assert address, f"Give SAMPLES a value that {name} takes."
    yield address


def _filled(name: str, wanted: list[str], chosen: dict[str, str], samples: list[str]) -> Iterator[str]:
    if not wanted:
        try:
            yield reverse(name, kwargs=chosen)
        except NoReverseMatch:
            return
        return
    for sample in samples:
        yield from _filled(name, wanted[1:], chosen | {wanted[0]: sample}, samples)


def of_orders(sql: str) -> bool:
    """Questions of a view, not those on the way to it: counts of calls, tokens, what was refused."""
    return '"orders_' in sql and not any(name in sql for name in ("requestcount", "apitoken", "refusedaction"))


@pytest.mark.django_db
def test_every_page_poll_download_and_call_that_finds_no_database_says_try_again(everybody: Person) -> None:
    wrong, struck_at = {}, 0
    for address in sorted(set(routes()) - SIGN_OUT):
        for method in ("GET", "POST"):
            with failing(TOO_MANY, of_orders) as struck:
                answer = everybody.browser.generic(method, address)
            struck_at += bool(struck.count)
            if struck.count and (answer.status_code, answer.get("Retry-After")) != (503, "5"):
                wrong[f"{method} {address}"] = (answer.status_code, struck.first[:200])
    assert not wrong
    assert struck_at > 150, "too few of the addresses came as far as the database"


@pytest.mark.django_db
@pytest.mark.parametrize("state", NOT_NOW + MEETINGS)
def test_every_state_of_the_kind_is_a_503_of_the_api_and_of_the_pages(state: str, everybody: Person) -> None:
    body = order_body()
    with failing(state, of_orders):
        assert_problem(post_order(everybody.program, body), 503, None, "try again")
        page = everybody.browser.get("/admin/orders/order/")
    assert (page.status_code, page["Retry-After"]) == (503, "5")


@pytest.mark.django_db
def test_an_error_of_ours_stays_a_500(everybody: Person) -> None:
    with failing("42P01", of_orders):
        assert_problem(everybody.program.get("/api/orders/"), 500)
        assert everybody.browser.get("/admin/orders/order/").status_code == 500


@pytest.mark.django_db
def test_an_event_of_the_gateway_is_sent_again_when_it_cannot_be_stored(settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [gateway.SECRET]
    with failing(DISK_FULL):
        answer = gateway.post(gateway.event())
    assert_problem(answer, 503, None, "try again")
    assert answer["Retry-After"] == "5"
    assert not GatewayEvent.objects.exists()


@pytest.mark.django_db
def test_the_codec_asks_the_ui_to_come_back(everybody: Person) -> None:
    with failing(TOO_MANY, lambda sql: '"django_session"' in sql):
        answer = everybody.browser.post("/codec/decode", "{}", content_type="application/json")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")


# --- A database that really takes no writes ---------------------------------------------------------------------------


@pytest.fixture
def signed_in(transactional_db: None) -> Person:
    person = Person(role="superuser", user=User.objects.create_superuser("a-superuser"))
    _ = person.browser, person.program
    return person


def reads() -> list[str]:
    """Every address without arguments."""
    return sorted({address for address in routes() if not any(f"/{sample}/" in address for sample in SAMPLES[:4])})


def test_a_read_only_database_serves_every_read_and_turns_writes_away(signed_in: Person) -> None:
    body = order_body()
    current_rules()  # the first who asks makes them
    with read_only_database():
        health = signed_in.program.get("/api/health/")
        listed = signed_in.program.get("/api/orders/")
        placed = post_order(signed_in.program, body)
        wrong = {
            address: answer.status_code
            for address in reads()
            for caller in (signed_in.browser, signed_in.program)
            if (answer := caller.get(address)).status_code >= 500
            and not (address == "/readyz" and answer.status_code == 503)
            and address not in SIGN_OUT | ENROLMENTS
        }
    assert (health.status_code, listed.status_code) == (200, 200)
    assert_problem(placed, 503, None, "try again")
    assert not wrong
    assert post_order(signed_in.program, body).status_code == 201


def test_nobody_is_told_that_they_are_signed_in_or_out_when_it_could_not_be_stored(signed_in: Person) -> None:
    assert signed_in.user is not None
    signed_in.user.set_password("correct-horse-battery-9")
    signed_in.user.save()
    stranger = Client(raise_request_exception=False)
    form = {"login": signed_in.user.username, "password": "correct-horse-battery-9"}
    with read_only_database():
        assert stranger.post("/accounts/login/", form).status_code == 503
        assert stranger.post("/accounts/login/", form | {"password": "wrong"}).status_code == 503
        assert "sessionid" not in stranger.cookies
    signed_in.browser.force_login(signed_in.user)
    with read_only_database():
        assert signed_in.browser.post("/admin/logout/").status_code == 503


def test_a_session_that_is_over_is_over_on_a_read_only_database_too(signed_in: Person, settings: Settings) -> None:
    settings.SESSION_IDLE_SECONDS = -1
    with read_only_database():
        answer = signed_in.browser.get("/admin/")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/?next=/admin/")


def test_a_full_disk_serves_reads_and_turns_orders_away(signed_in: Person) -> None:
    body = order_body()
    with full_disk("orders_order", "orders_requestcount", "orders_apitoken", "django_session"):
        placed = post_order(signed_in.program, body)
        assert signed_in.program.get("/api/orders/").status_code == 200
        assert signed_in.program.get("/api/health/").status_code == 200
        assert signed_in.browser.get("/admin/orders/order/").status_code == 200
    assert_problem(placed, 503, None, "try again")
    assert not Order.objects.exists()
    assert post_order(signed_in.program, body).status_code == 201


def test_a_connection_that_turned_read_only_is_left_so_that_the_next_call_finds_the_new_primary(
    signed_in: Person,
) -> None:
    body = order_body()
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    assert post_order(signed_in.program, body).status_code in {201, 503}
    assert post_order(signed_in.program, body).status_code == 201


def test_a_pool_does_not_hand_out_a_connection_again_that_turned_read_only(transactional_db: None) -> None:
    pooled = connection.copy()
    pooled.settings_dict["CONN_MAX_AGE"] = 0
    pooled.settings_dict["OPTIONS"] = {**pooled.settings_dict["OPTIONS"], "pool": {"min_size": 1, "max_size": 1}}
    question = "UPDATE orders_requestcount SET hits = 1"
    try:
        with pooled.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")
        pooled.close()
        with pytest.raises(Exception, match="read-only") as refusal, pooled.cursor() as cursor:
            cursor.execute(question)
        assert is_passing(refusal.value)
        with pooled.cursor() as cursor:
            cursor.execute(question)
    finally:
        pooled.close()
        pooled.close_pool()
