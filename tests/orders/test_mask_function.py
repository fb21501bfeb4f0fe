"""What the account of the web may do to texts that it may not write: take words out, and nothing else."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.db.utils import ProgrammingError
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from backoffice import database_roles, mask_function
from backoffice.database_roles import Role
from backoffice.table_rights import models_by_table
from orders.models import Approval, OrderTag, PartnerHealth
from orders.services import erasing, seals
from orders.services.texts import masking
from orders.services.texts.masking import DIGESTS
from orders.services.texts.person import Person
from orders.services.texts.registry import MASKED, columns
from orders.vocabulary import Channel
from tests import rights
from tests.factories import TEST_ACTOR, make_order
from tests.orders import playbooks
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
DIGEST = f"key:{'0' * 64}"
SAID = "Ada Buyer called; pay 100 back"
ASKED = {"why": SAID, "amount_minor": 100, "listed": [SAID, 1.50], SAID: None}


def mask(table: str, key: Any, texts: dict[str, Any], digests: dict[str, Any] | None = None) -> None:
    with connection.cursor() as cursor:
        asked = [table, str(key), json.dumps(texts), json.dumps(digests or {})]
        cursor.execute("SELECT * FROM public.orders_mask(%s, %s, %s, %s)", asked)


def approval() -> Approval:
    return Approval.objects.create(
        command="refund",
        subject="SO-1",
        says="A refund",
        parameters=ASKED,
        asked_digest=DIGEST,
        reason=SAID,
        channel=Channel.ADMIN,
        requested_by=make_user(),
        expires_at=timezone.now() + timedelta(days=1),
    )


def test_the_web_takes_words_out_of_what_it_may_not_write() -> None:
    row = approval()
    left = "erased called; pay 100 back"
    with rights.of(Role.WEB):
        mask(
            "orders_approval",
            row.pk,
            {"reason": left, "parameters": {"why": left, "amount_minor": 100, "listed": ["erased", 1.5], left: None}},
            {"asked_digest": f"other:{'1' * 64}"},
        )
    row.refresh_from_db()
    assert (row.reason, row.asked_digest) == (left, f"other:{'1' * 64}")
    assert row.parameters == {"why": left, "amount_minor": 100, "listed": ["erased", 1.5], left: None}


@pytest.mark.parametrize(
    ("texts", "digests"),
    [
        ({"reason": "erased called; pay 900 back"}, {}),
        ({"reason": f"{SAID} erased"}, {}),
        ({"reason": "pay 100 back; erased called"}, {}),
        ({"reason": ""}, {}),
        ({"reason": "Ada Buyer"}, {}),
        ({"reason": ["erased"]}, {}),
        ({"reason": None}, {}),
        ({"reason": "erased", "subject": "erased"}, {}),
        ({"command": "erased"}, {}),
        ({"status": "erased"}, {}),
        ({"no such column": "erased"}, {}),
        ({}, {}),
        ({}, {"asked_digest": DIGEST}),
        ({"reason": "erased"}, {"asked_digest": DIGEST}),
        ({"parameters": {"why": "pay everything back"}}, {}),
        ({"parameters": ASKED | {"amount_minor": 900}}, {}),
        ({"parameters": ASKED | {"listed": [SAID]}}, {}),
        ({"parameters": {"why": "erased", "amount_minor": 100, "listed": [SAID, 1.5]}}, {}),
        ({"parameters": ASKED | {"to": "me"}}, {}),
        ({"parameters": ASKED}, {"asked_digest": DIGEST}),
        ({"parameters": "erased"}, {}),
        ({"parameters": ASKED | {"why": "erased"}}, {"asked_digest": "what I say"}),
        ({"parameters": ASKED | {"why": "erased"}}, {"subject": DIGEST}),
    ],
)  # fmt: skip
def test_nothing_new_gets_in_and_no_other_column_is_reached(texts: dict[str, Any], digests: dict[str, Any]) -> None:
    row = approval()
    before = Approval.objects.values().get(pk=row.pk)
    with pytest.raises(ProgrammingError), transaction.atomic(), rights.of(Role.WEB):
        mask("orders_approval", row.pk, texts, digests)
    assert Approval.objects.values().get(pk=row.pk) == before


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("orders_order", "number"),
        ("orders_orderevent", "reason"),
        ("orders_ledgertransfer", "key"),
        ("orders_playbookversion", "hash"),
        ("orders_maskedline", "after_hash"),
        ("auth_user", "username"),
        ("auth_user; DROP TABLE orders_order", "username"),
        ("pg_authid", "rolpassword"),
        ("no such table", "name"),
    ],
)
def test_a_text_that_the_registry_does_not_declare_as_masked_is_out_of_reach(table: str, column: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="Nothing of that is a text that an erasure masks"),
        transaction.atomic(),
        rights.of(Role.WEB),
    ):
        mask(table, 1, {column: "erased"})


def test_a_row_that_there_is_not_is_refused() -> None:
    with pytest.raises(ProgrammingError, match="something new"), transaction.atomic():
        mask("orders_approval", "00000000-0000-0000-0000-000000000000", {"reason": "erased"})


@pytest.mark.parametrize("role", [Role.WORKER, Role.READER])
def test_nobody_else_may_call_it(role: Role) -> None:
    row = approval()
    with pytest.raises(ProgrammingError, match="permission denied for function"), transaction.atomic(), rights.of(role):
        mask("orders_approval", row.pk, {"reason": "erased"})


@pytest.mark.parametrize("role", Role)
def test_nobody_may_call_it_before_the_accounts_have_their_rights(role: Role) -> None:
    row = approval()
    with connection.cursor() as cursor:
        cursor.execute(f"DROP FUNCTION {mask_function.SIGNATURE}")
    mask_function.create()
    with pytest.raises(ProgrammingError, match="permission denied for function"), transaction.atomic(), rights.of(role):
        mask("orders_approval", row.pk, {"reason": "erased"})


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(
    "column", ["orders_approval.reason", "orders_approval.asked_digest", "orders_playbookrun.version_hash",
               "orders_playbookversion.document", "orders_maskedline.after_hash", "axes_accesslog.username",
               "orders_refusedaction.subject"],
)  # fmt: skip
def test_written_past_the_function_it_is_refused_as_before(role: Role, column: str) -> None:
    table, name = column.split(".")
    with (
        pytest.raises(ProgrammingError, match="permission denied"),
        transaction.atomic(),
        rights.of(role),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE public.{table} SET {name} = {name}")


def test_the_triggers_are_asleep_for_the_function_only() -> None:
    row = approval()
    with rights.of(Role.WEB):
        mask("orders_approval", row.pk, {"reason": "erased"})
    with pytest.raises(Exception, match="Cannot update rows"), transaction.atomic():
        Approval.objects.filter(pk=row.pk).update(reason="new")


def test_the_function_knows_every_masked_column_and_the_web_may_read_it() -> None:
    granted = database_roles.privileges(Role.WEB)
    tables = models_by_table()
    for model, names in columns(MASKED).items():
        assert "SELECT" in granted[model._meta.db_table].words, f"An erasure cannot search {model._meta.label}."
        known = mask_function._known(model, names)
        assert known["columns"].keys() == set(names)
        assert tables[model._meta.db_table] is model
    assert {name for digests in DIGESTS.values() for name in digests} == {
        *("asked_digest", "decided_digest", "hash", "keyed_digest"),
    }


def test_of_two_names_that_become_one_each_row_keeps_its_own() -> None:
    order = make_order()
    tags = [OrderTag.objects.create(order=order, tag=tag, made_by="test") for tag in ("Ada Buyer", "ADA BUYER")]
    with rights.of(Role.WEB):
        for tag in tags:
            mask("orders_ordertag", tag.pk, {"tag": "erased"})
    assert sorted(OrderTag.objects.values_list("tag", flat=True)) == ["erased", f"erased {tags[1].pk}"]


def test_a_text_that_the_mark_makes_too_long_ends_where_the_column_ends() -> None:
    most = PartnerHealth._meta.get_field("last_error").max_length
    assert isinstance(most, int)
    PartnerHealth.objects.create(pk="carrier", last_error="Ada " * (most // 4))
    with rights.of(Role.WEB):
        mask("orders_partnerhealth", "carrier", {"last_error": "erased " * (most // 4)})
    assert PartnerHealth.objects.get().last_error == ("erased " * most)[:most]


WORDS = st.sampled_from(["ada", "Ada Buyer", "erased", "100", "a", "x-y", "ürün", ",", "\n", "'", "\\", "%", "{}", '"'])


@given(words=st.lists(WORDS, max_size=8), gaps=st.lists(st.sampled_from(["", " ", ", "]), min_size=8, max_size=8))
def test_whatever_a_person_is_taken_out_of_is_let_through(words: list[str], gaps: list[str]) -> None:
    before = "".join(word + gap for word, gap in zip(words, gaps, strict=False))
    after = Person(words=("Ada", "Ada Buyer", "ürün", "100")).clean(before)
    assert has_only_lost(before, after)


@given(before=st.lists(WORDS, max_size=6), after=st.lists(WORDS, max_size=6))
def test_what_is_let_through_is_the_text_with_marks_in_it(before: list[str], after: list[str]) -> None:
    old, new = " ".join(before), " ".join(after)
    assert has_only_lost(old, new) == (old == new or could_become(old, new))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("aba", "aberasedba"),
        ("ab", "aberased"),
        ("ab", "erasedab"),
        ("ab", "aerasedb"),
        ("ab", "erasederasederased"),
        ("a-b-c", "erasedcerasedberased"),
        ("ab", ""),
        ("", "erased"),
    ],
)
def test_no_part_counts_twice_and_no_mark_stands_for_nothing(before: str, after: str) -> None:
    assert not has_only_lost(before, after)
    assert not could_become(before, after)


def could_become(old: str, new: str) -> bool:
    """The same, said as a pattern: whatever each mark stands for is something."""
    pieces = new.split("erased")
    return len(pieces) > 1 and re.fullmatch(".+".join(map(re.escape, pieces)), old, re.DOTALL) is not None


def has_only_lost(before: str, after: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT public.orders_has_only_lost(%s, %s)", [before, after])
        return bool(cursor.fetchone()[0])


def test_an_erasure_by_the_web_reaches_evidence_and_the_seals_hold() -> None:
    row = approval()
    with rights.of(Role.WEB):
        done = erasing.erase_customer("Ada Buyer", actor=TEST_ACTOR, reason="Request 17")
    row.refresh_from_db()
    assert (row.reason, row.parameters["why"]) == ("erased called; pay 100 back",) * 2
    assert {"where": "orders.Approval", "found": 1, "stays": False} in done.command.details["report"]
    assert list(seals.compare(seals.export_lines(actor=TEST_ACTOR))) == []


def test_what_is_written_between_search_and_masking_is_neither_lost_nor_missed(
    monkeypatch: pytest.MonkeyPatch, tamper: Callable[..., None]
) -> None:
    row, plain, said = approval(), masking._digests, ["Bob wrote", "Ada Buyer called"]

    def and_somebody_writes(model: type[Model], pk: Any, after: dict[str, Any]) -> dict[str, str]:
        if model is Approval and said:
            tamper("UPDATE orders_approval SET reason = %s", said.pop())
        return plain(model, pk, after)

    monkeypatch.setattr(masking, "_digests", and_somebody_writes)
    assert masking.mask(Person(words=("Ada Buyer",)))["orders.Approval"] == 1
    row.refresh_from_db()
    assert (row.reason, row.parameters["why"], said) == ("Bob wrote", "erased called; pay 100 back", [])


def test_a_text_that_is_refused_though_nobody_has_written_it_stops_the_erasure(monkeypatch: pytest.MonkeyPatch) -> None:
    approval()
    monkeypatch.setattr(Person, "clean", lambda self, text: f"{text}!")
    with pytest.raises(RuntimeError, match=r"without the person was refused"):
        masking.mask(Person(words=("Ada Buyer",)))


def test_a_run_follows_its_version_under_the_new_hash() -> None:
    run = playbooks.start(make_order(), playbooks.note("a", text=SAID))
    old = run.version_hash
    with rights.of(Role.WEB):
        erasing.erase_customer("Ada Buyer", actor=TEST_ACTOR, reason="Request 17")
    run.refresh_from_db()
    run.version.refresh_from_db()
    assert run.version_hash == run.version.hash != old
    assert "Ada" not in json.dumps(run.version.document)
