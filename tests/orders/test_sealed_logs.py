"""The seal covers who did what: sign-ins, commands, the admin's log, approvals, changes of accounts and automation."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from axes.models import AccessFailureLog, AccessLog
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.db.utils import ProgrammingError

from backoffice.database_roles import Role
from orders.models import AccountChange, Command, HistorySeal, SealedLog
from orders.services import seals
from orders.services.seals import hashing
from tests import rights
from tests.factories import TEST_ACTOR, make_order

pytestmark = pytest.mark.django_db
Tamper = Callable[..., None]
YESTERDAY = "now() - interval '1 day'"
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
