"""The seal covers who did what: sign-ins, commands, the admin's log, approvals, changes of accounts and automation."""

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from axes.models import AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError
from django.utils import timezone
from pgtrigger import ignore

from backoffice.database_roles import Role
from orders import signing
from orders.models import AccountChange, Approval, Command, HistorySeal, MaskedLine, RefusedAction, SealedLog
from orders.services import approvals, erasing, seals
from orders.services.seals import hashing, masked_lines
from tests import rights
from tests.factories import TEST_ACTOR, make_order
from tests.orders.playbooks import chief, note, published

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]
YESTERDAY = "now() - interval '1 day'"
YESTERDAY_NOON = (timezone.now() - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
PERSON = "ZB-4711"
LOGS = [
    "account_changes",
    "admin",
    "approvals",
    "automation_changes",
    "commands",
    "failed_sign_ins",
    "playbook_versions",
    "refused_actions",
    "sign_ins",
]


@pytest.fixture
def sealed(tamper: Tamper) -> HistorySeal:
    """A day on which one command was given, one account made and two people signed in, one of them wrongly."""
    make_order(started=True)
    user = User.objects.create_user("anna")
    for log in (AccessLog, AccessFailureLog):
        log.objects.create(username="anna", ip_address="10.0.0.1")
    LogEntry.objects.log_actions(user.pk, [user], 2, change_message="Roles", single_object=True)
    for table, column in (
        ("orders_command", "created_at"),
        ("orders_accountchange", "at"),
        ("axes_accesslog", "attempt_time"),
        ("axes_accessfailurelog", "attempt_time"),
        ("django_admin_log", "action_time"),
    ):
        tamper(f"UPDATE {table} SET {column} = {YESTERDAY}")
    # With the rights that the process has: it seals what it may not read.
    with rights.of(Role.WORKER):
        return seals.seal_history(actor=TEST_ACTOR).seal


def breaks() -> list[tuple[str, str]]:
    return [(found.subject, found.problem) for found in seals.compare(seals.export_lines(actor=TEST_ACTOR))]


def test_a_seal_counts_each_log_and_holds_while_nothing_changes(sealed: HistorySeal) -> None:
    counted = dict(SealedLog.objects.filter(seal=sealed).values_list("log", "row_count"))
    assert sorted(counted) == LOGS
    assert {log for log, count in counted.items() if count} == {
        "account_changes",
        "admin",
        "commands",
        "failed_sign_ins",
        "sign_ins",
    }
    assert counted["commands"] == Command.objects.count()
    assert counted["account_changes"] == AccountChange.objects.count()
    assert (len(sealed.logs_hash), breaks()) == (64, [])


@pytest.mark.parametrize(
    ("tampering", "told"),
    [
        ("UPDATE axes_accesslog SET username = 'bob'", "rows of sign_ins"),
        ("UPDATE axes_accessfailurelog SET ip_address = '10.0.0.2'", "rows of failed_sign_ins"),
        ("DELETE FROM axes_accessfailurelog", "1 rows of failed_sign_ins"),
        ("DELETE FROM django_admin_log", "1 rows of admin"),
        ("UPDATE django_admin_log SET change_message = ''", "rows of admin"),
        ("UPDATE orders_command SET actor = 'bob'", "rows of commands"),
        ("UPDATE orders_command SET created_at = now()", "rows of commands"),
        ("UPDATE orders_accountchange SET what = 'role'", "rows of account_changes"),
        ("INSERT INTO axes_accesslog (username, ip_address, user_agent, http_accept, path_info, session_hash,"
         f" attempt_time) VALUES ('eve', '10.0.0.3', '', '', '', '', {YESTERDAY})", "rows of sign_ins"),
        ("UPDATE orders_sealedlog SET rows_hash = '0' WHERE log = 'commands'", "were altered or cut off"),
        ("DELETE FROM orders_sealedlog WHERE log = 'sign_ins'", "were altered or cut off"),
    ],
)  # fmt: skip
def test_what_was_changed_behind_a_seal_is_named(
    sealed: HistorySeal, tamper: Tamper, tampering: str, told: str
) -> None:
    tamper(tampering)
    assert [subject for subject, problem in breaks() if told in problem] == ["seal 1"]


def test_what_becomes_of_a_command_later_and_an_erasure_break_no_seal(sealed: HistorySeal) -> None:
    Command.objects.update(status="done", outcome="Done", reason="erased")
    AccessLog.objects.update(logout_time="2026-01-01T00:00:00Z")
    assert breaks() == []


def sign_in() -> None:
    AccessLog.objects.create(username=PERSON, ip_address="10.0.0.1")


def failed_sign_in() -> None:
    AccessFailureLog.objects.create(username=PERSON, ip_address="10.0.0.1")


def admin_line() -> None:
    user = User.objects.create_user("editor")
    LogEntry.objects.log_actions(user.pk, [user], 2, change_message=f"Mailed {PERSON}", single_object=True)


def refused_action() -> None:
    when = {"hour": YESTERDAY_NOON, "first_at": YESTERDAY_NOON, "last_at": YESTERDAY_NOON}
    RefusedAction.objects.create(actor="test", channel="api", action="erase", subject=PERSON, **when)


def approval() -> None:
    asked = approvals.ask(
        "publish_playbook", subject="x v1", says="Do it.", parameters={"why": PERSON}, reason="x", actor=chief()
    )
    asked.requested_at = YESTERDAY_NOON
    digest = signing.sign(approvals.ASKED, approvals._asked(asked, []))
    with ignore("orders.Approval:asked_once"):
        Approval.objects.filter(pk=asked.pk).update(requested_at=YESTERDAY_NOON, asked_digest=digest)


def playbook_version() -> None:
    published(note("a", text=f"Call {PERSON}"))


#: a row that names the person, for each log of which a seal covers what an erasure changes; its table, when it was made
NAMING = {
    "sign_ins": (sign_in, "axes_accesslog", "attempt_time"),
    "failed_sign_ins": (failed_sign_in, "axes_accessfailurelog", "attempt_time"),
    "admin": (admin_line, "django_admin_log", "action_time"),
    "refused_actions": (refused_action, "orders_refusedaction", "first_at"),
    "approvals": (approval, "orders_approval", "requested_at"),
    "playbook_versions": (playbook_version, "orders_playbookversion", "created_at"),
}
#: of the same logs: what somebody with every right changes in such a row
TAMPERING = {
    "sign_ins": "username = 'bob'",
    "failed_sign_ins": "username = 'bob'",
    "admin": "change_message = 'bob'",
    "refused_actions": "subject = 'bob'",
    "approvals": "asked_digest = 'bob'",
    "playbook_versions": "hash = 'bob'",
}
EACH_LOG = pytest.mark.parametrize("log", NAMING)


def sealed_with(log: str, tamper: Tamper) -> str:
    """Make a row that names the person, seal it, and answer its table."""
    make, table, at = NAMING[log]
    make()
    if log != "approvals":  # whose digest says when
        tamper(f"UPDATE {table} SET {at} = {YESTERDAY}")
    with rights.of(Role.WORKER):
        seals.seal_history(actor=TEST_ACTOR)
    assert SealedLog.objects.get(log=log).row_count
    assert breaks() == []
    return table


def erase(person: str = PERSON) -> None:
    with rights.of(Role.WEB):
        erasing.erase_customer(PERSON, actor=TEST_ACTOR, reason="Request 17", also=[person])


def test_each_log_whose_lines_an_erasure_changes_is_tried() -> None:
    assert {name: table for name, (_, table, _) in NAMING.items()} == {
        name: table for table, (name, _) in masked_lines.LOGS.items()
    }
    assert {name: at for name, (_, _, at) in NAMING.items()} == dict(masked_lines.LOGS.values())


@EACH_LOG
def test_an_erasure_breaks_no_seal_and_tampering_is_found_all_the_same(log: str, tamper: Tamper) -> None:
    table = sealed_with(log, tamper)

    erase()

    assert (MaskedLine.objects.get().log, breaks()) == (log, [])
    call_command("verify_history", stdout=StringIO())
    tamper(f"UPDATE {table} SET {TAMPERING[log]}")
    assert [(subject, f"rows of {log}" in problem) for subject, problem in breaks()] == [("seal 1", True)]


@EACH_LOG
def test_what_was_tampered_with_before_the_erasure_stays_found(log: str, tamper: Tamper) -> None:
    table = sealed_with(log, tamper)
    tamper(f"UPDATE {table} SET {NAMING[log][2]} = {NAMING[log][2]} + interval '1 second'")
    erase()
    assert [subject for subject, _ in breaks()] == ["seal 1"]


def test_a_second_erasure_of_the_same_row_breaks_no_seal_unless_something_was_changed_between(tamper: Tamper) -> None:
    AccessLog.objects.create(username=f"{PERSON} anna bob", ip_address="10.0.0.1")
    sealed_with("sign_ins", tamper)
    for word in ("anna", "bob"):
        erase(word)
        assert breaks() == []
    row = AccessLog.objects.get(username="erased erased erased")
    line = MaskedLine.objects.get(row_key=row.pk)
    tamper("UPDATE axes_accesslog SET username = 'erased eve' WHERE id = %s", row.pk)
    erase("eve")
    assert AccessLog.objects.get(pk=row.pk).username == "erased erased"
    assert MaskedLine.objects.get(row_key=row.pk).after_hash == line.after_hash
    assert [subject for subject, _ in breaks()] == ["seal 1"]


def test_a_row_that_was_masked_before_it_was_sealed_is_sealed_as_it_was(tamper: Tamper) -> None:
    AccessLog.objects.create(username=PERSON, ip_address="10.0.0.1")
    tamper(f"UPDATE axes_accesslog SET attempt_time = {YESTERDAY}")
    erase()
    with rights.of(Role.WORKER):
        seals.seal_history(actor=TEST_ACTOR)
    assert breaks() == []


def test_whoever_calls_tampering_an_erasure_is_found_by_the_missing_key(tamper: Tamper) -> None:
    sealed_with("sign_ins", tamper)
    (before,) = lines("sign_ins")
    tamper("UPDATE axes_accesslog SET username = 'bob'")
    (after,) = lines("sign_ins")
    key = str(AccessLog.objects.get().pk)
    MaskedLine.objects.create(log="sign_ins", row_key=key, before_hash=before, after_hash=after)
    assert [(subject, "no process of ours signed it" in problem) for subject, problem in breaks()] == [
        ("sign_ins", True)
    ]
    # Nor does a later erasure sign what was there before.
    tamper("UPDATE axes_accesslog SET username = %s", f"bob {PERSON}")
    (after,) = lines("sign_ins")
    MaskedLine.objects.update(after_hash=after, keyed_digest=f"test:{'0' * 64}")
    erase()
    assert [subject for subject, _ in breaks()] == ["sign_ins"]


def lines(log: str) -> list[str]:
    """The hashes of its rows as they are."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT encode(sha256(convert_to(line, 'UTF8')), 'hex') FROM orders_log_lines(%s, 'epoch', now())", [log]
        )
        return [found for (found,) in cursor.fetchall()]


def test_rows_of_the_last_hour_belong_to_the_next_seal(sealed: HistorySeal) -> None:
    AccessLog.objects.create(username="late", ip_address="10.0.0.1")
    assert breaks() == []
    assert SealedLog.objects.get(log="sign_ins").row_count == 1


def test_an_exported_seal_shows_what_somebody_sealed_anew(sealed: HistorySeal, tamper: Tamper) -> None:
    exported = list(seals.export_lines(actor=TEST_ACTOR))
    tamper("UPDATE orders_command SET actor = 'bob'")
    with connection.cursor() as cursor:
        cursor.execute("SELECT rows_hash FROM orders_log_digest('commands', 'epoch', now() - interval '1 hour')")
        (forged,) = cursor.fetchone()
    tamper("UPDATE orders_sealedlog SET rows_hash = %s WHERE log = 'commands'", forged)
    sealed.logs_hash = hashing.logs_hash(SealedLog.objects.all())
    forged_seal = hashing.seal_hash(hashing.fields_of(sealed))
    tamper("UPDATE orders_historyseal SET logs_hash = %s, hash = %s", sealed.logs_hash, forged_seal)
    assert breaks() == [], "somebody who writes the seals anew too is not found by them"
    found = [found.problem for found in seals.compare(exported)]
    assert any("another one in its place" in problem for problem in found)
    assert any("rows of commands" in problem for problem in found)


def test_a_seal_of_before_there_were_logs_still_holds(sealed: HistorySeal, tamper: Tamper) -> None:
    tamper("DELETE FROM orders_sealedlog")
    sealed.logs_hash = ""
    older = hashing.seal_hash(hashing.fields_of(sealed))
    tamper("UPDATE orders_historyseal SET logs_hash = '', hash = %s", older)
    lines = [json.loads(line) for line in seals.export_lines(actor=TEST_ACTOR)]
    for line in lines:
        line.pop("logs_hash", None)
    assert [found.problem for found in seals.compare(json.dumps(line) for line in lines)] == []


def test_the_command_names_the_log(sealed: HistorySeal, tamper: Tamper) -> None:
    tamper("UPDATE axes_accesslog SET username = 'bob'")
    told = StringIO()
    with pytest.raises(SystemExit):
        call_command("verify_history", stderr=told, stdout=StringIO())
    assert "seal 1: rows of sign_ins" in told.getvalue()


@pytest.mark.parametrize(
    ("role", "question"),
    [
        (Role.WEB, "orders_seal_logs(99)"),
        (Role.WEB, "orders_log_digest('sign_ins', 'epoch', now())"),
        (Role.WORKER, "orders_log_lines('sign_ins', 'epoch', now())"),
        (Role.READER, "orders_seal_logs(99)"),
    ],
)
def test_nobody_but_the_worker_seals_and_nobody_reads_logs_that_way(role: Role, question: str) -> None:
    with (
        pytest.raises(ProgrammingError, match="permission denied for function"),
        transaction.atomic(),
        rights.of(role),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"SELECT {question}")
