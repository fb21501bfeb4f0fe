"""Seals find what the chain cannot: a history that somebody with every right wrote anew as a whole."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from orders import history
from orders.actor import person
from orders.errors import InvalidInput, NotPermitted
from orders.models import HistorySeal, Order, OrderEvent, SealedHead
from orders.services import invariants, seals
from orders.services.seals import making
from orders.vocabulary import Channel
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving
from tests.orders.connections import connections
from tests.orders.staff import make_user, signed_in

Tamper = Callable[..., None]


@pytest.fixture
def two_days(db: None) -> list[Order]:
    """Three orders under two seals: the first moved after the first seal, the second did not, the third is new."""
    moved, rested = make_order(), make_order(started=True)
    with time_machine.travel(timezone.now() - timedelta(days=1)):
        seals.seal_history(actor=TEST_ACTOR)
    driving.drive(moved)
    new = make_order(started=True)
    seals.seal_history(actor=TEST_ACTOR)
    with connection.cursor() as cursor:
        # As a commit does; later a test takes rows away under the foreign key.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return [moved, rested, new]


def export() -> list[str]:
    return list(seals.export_lines(actor=TEST_ACTOR))


def breaks(lines: Iterable[str]) -> list[tuple[str, str]]:
    return [(found.subject, found.problem) for found in seals.compare(lines)]


def rewrite_history(tamper: Tamper, order: Order, *, start: int) -> None:
    """As a superuser would: change an event and make every later hash, and the order's head, fit again."""
    previous = ""
    for event in OrderEvent.objects.filter(order=order).order_by("sequence"):
        if event.sequence == start:
            event.reason = "Nothing to see"
        event.previous_hash, event.hash = previous, history.event_hash(event, previous)
        tamper(
            "UPDATE orders_orderevent SET reason = %s, previous_hash = %s, hash = %s WHERE id = %s",
            event.reason, previous, event.hash, event.pk,
        )  # fmt: skip
        previous = event.hash
    tamper("UPDATE orders_order SET chain_head = %s WHERE id = %s", previous, order.pk)


def test_a_seal_holds_the_heads_that_moved_and_chains_to_the_seal_before(two_days: list[Order]) -> None:
    moved, rested, new = two_days
    first, second = HistorySeal.objects.order_by("sequence")
    assert (first.sequence, first.order_count, first.head_count, first.previous_hash) == (1, 2, 2, "")
    assert (second.sequence, second.order_count, second.head_count, second.previous_hash) == (2, 3, 2, first.hash)
    assert second.event_count == OrderEvent.objects.count()
    assert {head.order_id for head in second.heads.all()} == {moved.pk, new.pk}
    assert {head.order_id for head in first.heads.all()} == {moved.pk, rested.pk}
    moved.refresh_from_db()
    head = SealedHead.objects.get(seal=second, order_id=moved.pk)
    assert (head.event_count, head.chain_head) == (moved.event_count, moved.chain_head)


@pytest.mark.django_db
def test_a_day_has_one_seal() -> None:
    first = seals.seal_history(actor=TEST_ACTOR)
    make_order()
    second = seals.seal_history(actor=TEST_ACTOR)
    assert (first.made, second.made, second.seal) == (True, False, first.seal)
    assert HistorySeal.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_sealers_at_once_one_makes_the_seal_and_the_others_find_it() -> None:
    for _ in range(3):
        make_order(started=True)
    with connections(4) as pool:
        begun: list[Future[Any]] = [pool.begin(seals.seal_history, actor=TEST_ACTOR) for _ in range(4)]
        answers = [one.result(60) for one in begun]
    assert sorted(answer.made for answer in answers) == [False, False, False, True]
    assert {answer.seal.hash for answer in answers} == {HistorySeal.objects.get().hash}
    assert breaks(export()) == []


@pytest.mark.django_db
def test_sealing_and_taking_seals_home_need_their_permissions() -> None:
    viewer = person(make_user("orders.view_historyseal"), Channel.ADMIN)
    with pytest.raises(NotPermitted, match=r"orders\.seal_history"):
        seals.seal_history(actor=viewer)
    with pytest.raises(NotPermitted, match=r"orders\.export_historyseal"):
        seals.export_lines(actor=viewer)
    assert not HistorySeal.objects.exists()


def test_seals_hold_while_orders_go_on(two_days: list[Order]) -> None:
    lines = export()
    driving.drive(two_days[2])
    assert breaks(lines) == []
    assert Counter(json.loads(line)["kind"] for line in lines) == {"seal": 2, "head": 4, "log": 9}


def test_a_history_written_anew_passes_the_chain_and_is_named_by_the_seal(
    two_days: list[Order], tamper: Tamper
) -> None:
    order = two_days[1]
    lines = export()
    rewrite_history(tamper, order, start=1)
    assert list(invariants.history_verifies()) == []
    day = HistorySeal.objects.get(sequence=1).day
    assert breaks(lines) == [(order.number, f"event 2 is not the one that was sealed on {day}")]


def test_a_tail_cut_off_with_its_head_passes_the_chain_and_is_named_by_the_seal(
    two_days: list[Order], tamper: Tamper
) -> None:
    order = two_days[1]
    lines = export()
    head = OrderEvent.objects.get(order=order, sequence=1).hash
    tamper("DELETE FROM orders_orderevent WHERE order_id = %s AND sequence = 2", order.pk)
    back = "UPDATE orders_order SET status = 'placed', event_count = 1, chain_head = %s WHERE id = %s"
    tamper(back, head, order.pk)
    assert list(invariants.history_verifies()) == []
    day = HistorySeal.objects.get(sequence=1).day
    assert breaks(lines) == [(order.number, f"event 2 is missing that was sealed on {day}")]


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("DELETE FROM orders_historyseal WHERE sequence = 2", [("seal 2", "the database no longer has it")]),
        (
            "UPDATE orders_historyseal SET hash = repeat('0', 64) WHERE sequence = 1",
            [("seal 1", "the database has another one in its place")],
        ),
    ],
    ids=["removed", "altered"],
)
def test_a_seal_that_was_tampered_with_is_named(
    two_days: list[Order], tamper: Tamper, tampering: str, found: list[tuple[str, str]]
) -> None:
    lines = export()
    tamper(tampering)
    assert breaks(lines) == found


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("DELETE FROM orders_sealedhead WHERE seal_id = 2", ("seal 2", "the heads that belong to it were altered")),
        ("UPDATE orders_historyseal SET order_count = 1 WHERE sequence = 1", ("seal 1", "its line was altered")),
        (
            "UPDATE orders_historyseal SET sequence = 3 WHERE sequence = 2",
            ("seal 3", "what is between them is missing"),
        ),
    ],
    ids=["heads", "figures", "gap"],
)
def test_the_seals_in_the_database_verify_without_a_file(
    two_days: list[Order], tamper: Tamper, tampering: str, found: tuple[str, str]
) -> None:
    tamper(tampering)
    assert any(subject == found[0] and found[1] in problem for subject, problem in breaks(export()))


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"kind":"head"}', "[" * 50_000, "null", '{"kind":{}}'])
def test_a_file_that_is_no_export_is_refused_with_its_line(two_days: list[Order], line: str) -> None:
    with pytest.raises(InvalidInput, match="Line 2 is not a line of an export"):
        breaks([export()[0], line])


@pytest.mark.parametrize(
    "change", [{"sequence": 2**31}, {"sequence": -1}, {"order": "x"}, {"number": "\x00"}, {"hash": None}]
)
def test_a_head_that_postgresql_cannot_take_is_refused_with_its_line(
    two_days: list[Order], change: dict[str, object]
) -> None:
    lines = export()
    with pytest.raises(InvalidInput, match="Line 2 is not a line of an export"):
        breaks([lines[0], json.dumps(json.loads(lines[1]) | change)])


def test_the_commands_seal_export_and_verify(two_days: list[Order], tamper: Tamper, tmp_path: Path) -> None:
    out = StringIO()
    call_command("seal_history", stdout=out)
    assert "there already, nothing was changed" in out.getvalue()
    file = tmp_path / "seals.jsonl"
    with file.open("w") as stream:
        call_command("export_seals", stdout=stream)
    later = StringIO()
    call_command("export_seals", "--since", HistorySeal.objects.get(sequence=2).day.isoformat(), stdout=later)
    assert [json.loads(line)["sequence"] for line in later.getvalue().splitlines() if '"kind":"seal"' in line] == [2]
    assert verify("--seals", str(file)) == (0, [])

    rewrite_history(tamper, two_days[1], start=2)
    assert verify()[1] == [two_days[1].number], "the seals in the database say so without a file"
    # Whoever rewrites the seals too is found by the file only.
    tamper("DELETE FROM orders_sealedhead")
    tamper("DELETE FROM orders_historyseal")
    assert verify() == (0, [])
    assert verify("--seals", str(file)) == (1, ["seal 1", two_days[1].number, "seal 2"])
    assert verify(two_days[0].number, "--seals", str(file))[1] == ["seal 1", "seal 2"]


def verify(*arguments: str) -> tuple[int, list[str]]:
    """The exit code and who was named."""
    out, code = StringIO(), 0
    try:
        call_command("verify_history", *arguments, "--json", stdout=out, stderr=StringIO())
    except SystemExit as stop:
        code = int(stop.code or 0)
    return code, [row["order"] for row in json.loads(out.getvalue())["broken"]]


@pytest.mark.django_db
def test_commands_refuse_what_they_cannot_read(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="must be a day such as"):
        call_command("export_seals", "--since", "yesterday")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_history", "--seals", str(tmp_path / "nothing"))
    (tmp_path / "other").write_text("hello\n")
    with pytest.raises(CommandError, match="Line 1 is not a line"):
        call_command("verify_history", "--seals", str(tmp_path / "other"))


def test_a_seal_is_downloaded_with_the_permission_only(two_days: list[Order]) -> None:
    page = "/admin/orders/historyseal/2/seal.jsonl"
    assert signed_in("orders.view_historyseal", name="viewer").get(page).status_code == 403
    client = signed_in("orders.view_historyseal", "orders.export_historyseal")
    response = client.get(page)
    first_of_second = next(place for place, line in enumerate(export()) if '"sequence":2,"day"' in line)
    of_second = export()[first_of_second:]
    assert b"".join(response.streaming_content).decode().splitlines(keepends=True) == of_second  # type: ignore[attr-defined]
    assert client.get("/admin/orders/historyseal/9/seal.jsonl").status_code == 404
    assert page in client.get("/admin/orders/historyseal/").content.decode()


@pytest.mark.django_db
def test_the_statement_limit_of_pages_does_not_stop_a_seal() -> None:
    seals.seal_history(actor=TEST_ACTOR)
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("15min",)


@pytest.mark.django_db
def test_a_first_seal_of_many_orders_does_not_compare_each_with_each() -> None:
    """With the statistics of an empty table the plan was a nested loop: 100,000 orders took minutes without an end."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE orders_order, orders_sealedhead")
    seals.seal_history(actor=TEST_ACTOR)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {making.SEAL_HEADS}", [2])
        plan = "\n".join(line for (line,) in cursor.fetchall())
        assert "Anti Join" in plan
        assert "Nested Loop Anti Join" not in plan
