"""Web and worker cannot alter history, whatever they send; reports cannot write, and nobody starves the web."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.models import Model
from psycopg.errors import InsufficientPrivilege, ReadOnlySqlTransaction
from pytest_django import DjangoDbBlocker
from pytest_django.fixtures import Settings

from backoffice import checks, database_roles
from backoffice.database_roles import APPLICATION, Role
from backoffice.table_rights import TABLES, frozen_columns, models_by_table
from tests.accounts import account_url

WRITERS = pytest.mark.parametrize("role", APPLICATION)
Connect = Callable[[Role], psycopg.Connection[Any]]


@pytest.fixture
def connect(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Connect]:
    """Connections as a process of each role has them."""
    with contextlib.ExitStack() as open_connections:

        def one(role: Role) -> psycopg.Connection[Any]:
            with django_db_blocker.unblock():
                url = account_url(role)
            return open_connections.enter_context(psycopg.connect(url, autocommit=True))

        yield one


def forbidden(model: type[Model]) -> list[str]:
    """What whoever wants to rewrite the table would try."""
    table, key = model._meta.db_table, model._meta.pk.column
    return [
        f"UPDATE {table} SET {key} = {key}",
        # On its own the first half is only warned about.
        f"GRANT UPDATE ON {table} TO CURRENT_USER; UPDATE {table} SET {key} = {key}",
        f"SET pgtrigger.ignore = '{{{table}:append_only}}'; DELETE FROM {table}",
        f"DELETE FROM {table}",
        f"TRUNCATE {table} CASCADE",
        f"ALTER TABLE {table} ADD COLUMN extra int",
        f"ALTER TABLE {table} DISABLE TRIGGER USER",
        f"ALTER TABLE {table} DISABLE TRIGGER ALL",
        f"ALTER TABLE {table} OWNER TO CURRENT_USER",
        f"CREATE RULE mine AS ON INSERT TO {table} DO INSTEAD NOTHING",
        f"DROP TABLE {table} CASCADE",
    ]


def tried(account: psycopg.Connection[Any], statements: list[str]) -> dict[str, str]:
    """What was not refused for want of a right, each with what happened instead."""
    passed = {}
    for statement in statements:
        try:
            with account.transaction(force_rollback=True):
                account.execute(statement)
            passed[statement] = "done"
        except InsufficientPrivilege:
            continue
        except psycopg.Error as error:
            passed[statement] = str(error)
    return passed


def test_history_ledger_versions_and_seals_are_append_only() -> None:
    protected = {"historyseal", "ledgertransfer", "orderevent", "productevent", "sealedhead"}
    assert {f"orders_{name}" for name in protected} <= set(database_roles.append_only_tables())


@WRITERS
def test_append_only_tables_can_be_neither_changed_nor_emptied_nor_redefined(connect: Connect, role: Role) -> None:
    account, protected = connect(role), database_roles.append_only_tables()
    for model in apps.get_models():
        if model._meta.db_table in protected:
            assert tried(account, forbidden(model)) == {}


@WRITERS
def test_no_way_around_leads_to_the_rights_of_the_owner(connect: Connect, role: Role) -> None:
    account = connect(role)
    owner = connection.settings_dict["USER"]
    statements = [
        "DELETE FROM orders_order",
        "DELETE FROM orders_orderline",
        "TRUNCATE orders_order CASCADE",
        "SET session_replication_role = replica",
        f'SET ROLE "{owner}"',
        f'SET SESSION AUTHORIZATION "{owner}"',
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "CREATE ROLE another SUPERUSER",
        "CREATE TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "UPDATE django_migrations SET name = name",
        "CREATE OR REPLACE FUNCTION _pgtrigger_should_ignore(trigger_name name) RETURNS boolean"
        " LANGUAGE sql AS 'SELECT true'",
        "DROP FUNCTION _pgtrigger_should_ignore(name)",
        "INSERT INTO auth_permission (name, content_type_id, codename) VALUES ('x', 1, 'x')",
        "COPY orders_order TO PROGRAM 'true'",
    ]
    assert tried(account, statements) == {}


@WRITERS
def test_rights_suffice_for_what_the_product_writes(connect: Connect, role: Role) -> None:
    account = connect(role)
    for table, granted in database_roles.privileges(role).items():
        name = f"public.{table}"
        held = account.execute(
            "SELECT array_agg(word) FROM unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS word"
            " WHERE has_table_privilege(%s, word)",
            [name],
        ).fetchone()
        assert held is not None
        assert sorted(held[0] or []) == granted.spelled, table
        changed = account.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
            " AND has_column_privilege(attrelid, attnum, 'UPDATE') AND NOT has_table_privilege(attrelid, 'UPDATE')",
            [name],
        )
        assert {column for (column,) in changed} == (set() if granted.is_whole else granted.columns), table
    assert account.execute("SELECT nextval('orders_order_number')").fetchone() is not None
    account.execute("LISTEN backoffice_outbox")
    account.execute("SELECT pg_notify('backoffice_outbox', '')")


#: who did what; nothing of it is the account's to change
EVIDENCE = {
    "axes_accessfailurelog": set(),
    "axes_accesslog": {"logout_time"},
    "django_admin_log": set(),
    "orders_accountchange": set(),
    "orders_approval": {"status", "decided_by_id", "decided_at", "decision", "decided_digest"},
    "orders_approvalmaker": set(),
    "orders_automationchange": set(),
    "orders_command": {"status", "outcome", "details", "finished_at", "reason"},
    "orders_playbookversion": {"status", "published_by_id", "published_at", "keyed_digest"},
    "orders_refusedaction": {"times", "last_at"},
}


@WRITERS
@pytest.mark.parametrize("table", EVIDENCE)
def test_what_shows_who_did_what_is_only_added_to(connect: Connect, role: Role, table: str) -> None:
    account = connect(role)
    columns = [
        name
        for (name,) in account.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
            [f"public.{table}"],
        )
    ]
    changes = [f"UPDATE public.{table} SET {name} = {name}" for name in columns if name not in EVIDENCE[table]]
    assert tried(account, [*changes, f"DELETE FROM public.{table}", f"TRUNCATE public.{table}"]) == {}


def test_no_account_may_change_a_column_that_a_trigger_keeps(connect: Connect) -> None:
    frozen = {table: frozen_columns(model) for table, model in models_by_table().items()}
    assert frozen["orders_approval"] >= {"parameters", "requested_by_id"}
    for role in APPLICATION:
        changes = [
            f'UPDATE public.{table} SET "{column}" = "{column}"'
            for table, columns in frozen.items()
            for column in columns
        ]
        assert tried(connect(role), changes) == {}


@WRITERS
def test_only_the_owner_puts_a_trigger_to_sleep(
    connect: Connect, role: Role, django_db_blocker: DjangoDbBlocker
) -> None:
    asleep = "SELECT set_config('pgtrigger.ignore', '{some_trigger}', true), _pgtrigger_should_ignore('some_trigger')"
    account = connect(role)
    with account.transaction(force_rollback=True):
        assert account.execute(asleep).fetchone() == ("{some_trigger}", False)
        assert account.execute("SELECT _pgtrigger_should_ignore('some_trigger')").fetchone() == (False,)
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("SELECT _pgtrigger_should_ignore('some_trigger')")
        assert cursor.fetchone() == (False,), "nobody has asked for it"
        cursor.execute("BEGIN")
        cursor.execute("SELECT set_config('pgtrigger.ignore', '{some_trigger}', true)")
        cursor.execute("SELECT _pgtrigger_should_ignore('some_trigger')")
        assert cursor.fetchone() == (True,)
        cursor.execute("ROLLBACK")


@pytest.mark.parametrize(
    ("role", "table", "word"),
    [
        (Role.WEB, "orders_historyseal", "INSERT"),
        (Role.WEB, "orders_sealedlog", "INSERT"),
        (Role.WEB, "orders_dispute", "UPDATE"),
        (Role.WEB, "orders_trackingevent", "INSERT"),
        (Role.WEB, "orders_voucher", "INSERT"),
        (Role.WEB, "orders_engineuse", "UPDATE"),
        (Role.WORKER, "orders_sealedlog", "INSERT"),
        (Role.WORKER, "orders_playbookversion", "UPDATE"),
        (Role.WORKER, "orders_partnerendpoint", "UPDATE"),
        (Role.WORKER, "orders_automationchange", "INSERT"),
        (Role.WORKER, "orders_product", "UPDATE"),
        (Role.WORKER, "orders_feedlayout", "INSERT"),
        (Role.WORKER, "orders_customerkey", "DELETE"),
    ],
)
def test_what_the_other_one_writes_is_out_of_reach(connect: Connect, role: Role, table: str, word: str) -> None:
    # A right to single columns counts too; there is none to DELETE.
    function = "has_table_privilege" if word == "DELETE" else "has_any_column_privilege"
    assert connect(role).execute(f"SELECT {function}(%s, %s)", [f"public.{table}", word]).fetchone() == (False,)


def test_the_worker_has_no_part_in_accounts(connect: Connect) -> None:
    account = connect(Role.WORKER)
    closed = [table for table, (_, worker) in TABLES.items() if worker == ""]
    assert {"auth_user", "django_session", "orders_apitoken", "axes_accesslog", "django_admin_log"} <= set(closed)
    assert tried(account, [f"SELECT 1 FROM public.{table}" for table in closed]) == {}
    written = [f"DELETE FROM public.{table}" for table in TABLES if table.startswith(("auth_", "axes_", "django_"))]
    assert tried(account, [*written, "UPDATE auth_user SET is_superuser = true"]) == {}


def test_the_worker_sees_people_without_their_passwords(connect: Connect, django_db_blocker: DjangoDbBlocker) -> None:
    account = connect(Role.WORKER)
    with django_db_blocker.unblock():
        # Without what signals keep about a new account, which would keep it too.
        (person,) = User.objects.bulk_create([User(username="lead9", password="pbkdf2_sha256$...")])
        try:
            found = account.execute("SELECT username, password, is_active FROM auth_user WHERE id = %s", [person.pk])
            assert found.fetchone() == ("lead9", "!", True)
            assert connect(Role.WEB).execute("SELECT password FROM auth_user").fetchone() == (person.password,)
        finally:
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM auth_user WHERE id = %s", [person.pk])


def test_reports_read_orders_and_neither_write_nor_see_accounts(connect: Connect) -> None:
    account = connect(Role.READER)
    assert account.execute("SELECT count(*) FROM orders_orderevent").fetchone() is not None
    with pytest.raises(ReadOnlySqlTransaction):
        account.execute("DELETE FROM orders_step")
    account.execute("SET default_transaction_read_only = off")
    secret = ["auth_user", "orders_apitoken", "orders_customerkey", "django_session", "axes_accessattempt"]
    assert tried(account, ["DELETE FROM orders_step", *(f"SELECT 1 FROM {table}" for table in secret)]) == {}
    # What a later table keeps secret is found by the names that such columns have.
    visible = account.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    assert [column for column in visible if column[1] in ("digest", "password", "session_key", "session_data")] == []


@pytest.mark.django_db
def test_every_table_has_a_decision() -> None:
    assert database_roles.undecided_tables() == [], "Nobody decided about these: give them a line in table_rights."
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
    assert set(TABLES) - present == set(), "These lines of table_rights are of tables that there are not."


@pytest.mark.parametrize("role", Role)
def test_forgotten_work_of_a_role_ends_by_itself(connect: Connect, role: Role) -> None:
    account = connect(role)
    for setting, value in (("statement_timeout", "30s"), ("lock_timeout", "10s")):
        assert account.execute(f"SHOW {setting}").fetchone() == (value,)
    assert account.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("1min",)


def test_workers_that_take_all_their_connections_leave_some_to_the_web(
    connect: Connect, django_db_blocker: DjangoDbBlocker
) -> None:
    connect(Role.WORKER)
    name = database_roles.name_of(Role.WORKER)
    with django_db_blocker.unblock():
        shares = {role: database_roles.connection_limit(role) for role in Role}
        with connection.cursor() as cursor:
            cursor.execute("SELECT rolname, rolconnlimit FROM pg_roles WHERE rolname LIKE %s", [f"{name[:-6]}%"])
            limits = dict(cursor.fetchall())
            cursor.execute("SELECT current_setting('max_connections')::int")
            maximum = cursor.fetchone()[0]
            assert limits.items() >= {database_roles.name_of(role): share for role, share in shares.items()}.items()
            assert sum(shares.values()) <= maximum * 0.9
            cursor.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT 3')
        try:
            connect(Role.WORKER), connect(Role.WORKER)
            with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
                connect(Role.WORKER)
            assert connect(Role.WEB).execute("SELECT 1").fetchone() == (1,)
            database_roles.grant({})
            with connection.cursor() as cursor:
                cursor.execute("SELECT rolconnlimit FROM pg_roles WHERE rolname = %s", [name])
                assert cursor.fetchone() == (3,), "a limit that an administrator set stays"
        finally:
            with connection.cursor() as cursor:
                cursor.execute(f'ALTER ROLE "{name}" CONNECTION LIMIT {shares[Role.WORKER]}')


def test_a_password_never_reaches_the_servers_log(connect: Connect, django_db_blocker: DjangoDbBlocker) -> None:
    with django_db_blocker.unblock(), connection.execute_wrapper(refuse_word("open-sesame")):
        database_roles.grant({Role.READER: "open-sesame"})


def refuse_word(word: str) -> Callable[..., Any]:
    def wrapper(execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
        assert word not in repr(sql) + repr(params)
        return execute(sql, params, many, context)

    return wrapper


@pytest.mark.django_db
@pytest.mark.parametrize("power", ["SUPERUSER", "CREATEROLE", "IN ROLE {owner}"])
def test_an_account_that_could_do_more_is_refused(settings: Settings, power: str) -> None:
    settings.DATABASE_ROLE_PREFIX = "too_mighty"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE too_mighty_web {power.format(owner=connection.settings_dict['USER'])}")
    with pytest.raises(CommandError, match="too_mighty_web must be no superuser"):
        call_command("grant_roles")


@pytest.mark.django_db
def test_an_owner_who_may_not_make_accounts_is_told_what_an_administrator_must_do(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.DATABASE_ROLE_PREFIX = "absent"
    monkeypatch.setattr(database_roles, "_me", lambda: database_roles.Me(name="owner", may_manage_roles=False))
    with pytest.raises(CommandError, match='CREATE ROLE "absent_web" LOGIN'):
        call_command("grant_roles")


@pytest.mark.django_db
def test_production_is_warned_when_it_runs_as_the_owner(settings: Settings) -> None:
    def found() -> list[str | None]:
        return [message.id for message in checks.history_is_out_of_reach(databases=["default"])]

    assert found() == []
    settings.IS_PRODUCTION = True
    assert found() == ["backoffice.W002"]
    settings.DATABASE_OWNER_URL = "postgres://owner@db/orders"
    assert found() == []
    settings.DATABASE_OWNER_URL = ""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE pg_monitor")
        assert found() == [], "an account without the right"
        cursor.execute("RESET ROLE")
