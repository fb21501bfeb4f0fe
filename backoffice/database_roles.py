"""The database accounts of the product, and what each may do with every table.

The owner migrates. Web and worker run as accounts that own nothing: a stolen session of theirs cannot rewrite history,
put a trigger to sleep or drop a table, whatever our code or an attacker sends. What each may do with each table stands
in `table_rights`; here it is granted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from psycopg.sql import SQL, Composable, Identifier, Literal

from backoffice import mask_function
from backoffice.table_rights import TABLES, Rights, models_by_table, refused_by_triggers, rights
from orders.connections import LIMITS


class Role(StrEnum):
    WEB = "web"
    WORKER = "worker"
    #: reports; sees the tables of orders and no accounts, sessions or tokens
    READER = "reader"


APPLICATION = (Role.WEB, Role.WORKER)
#: tables of orders that are no business of a report
NOT_FOR_REPORTS = frozenset(
    {
        *("orders_apitoken", "orders_customerkey", "orders_filekey", "orders_wordkey"),
        "orders_maskedline",
        *("orders_refusedaction", "orders_requestcount", "orders_sharednote"),
    }
)
#: in per cent of max_connections: workers at their limit leave connections to the web, and both leave some to the owner
CONNECTION_SHARE = {Role.WORKER: 65, Role.WEB: 20, Role.READER: 5}
#: where pgtrigger's functions are
SCHEMA = Identifier("public")
#: functions with the rights of the owner, and who may call them: what takes words out of texts, and the seal over logs
#: that the worker may not read (migration 0113)
FUNCTIONS = {
    mask_function.SIGNATURE: Role.WEB,
    "public.orders_seal_logs(integer)": Role.WORKER,
}
SWITCH = SQL(
    """
    CREATE OR REPLACE FUNCTION public._pgtrigger_should_ignore(trigger_name name) RETURNS boolean LANGUAGE sql AS $$
        SELECT coalesce(
            trigger_name = ANY (nullif(current_setting('pgtrigger.ignore', true), '')::text[])
            AND pg_has_role(current_user, (
                SELECT proowner FROM pg_proc WHERE oid = to_regprocedure('public._pgtrigger_should_ignore(name)')
            ), 'USAGE'), false)
    $$
    """
)
SESSION: dict[Role, dict[str, str]] = {
    Role.WEB: LIMITS,
    Role.WORKER: LIMITS,
    Role.READER: {**LIMITS, "default_transaction_read_only": "on"},
}


class RolesRefused(Exception):
    """The accounts could not be made as they must be."""


@dataclass(frozen=True, kw_only=True)
class Me:
    """The account that grants."""

    name: str
    may_manage_roles: bool


def name_of(role: Role) -> str:
    return f"{settings.DATABASE_ROLE_PREFIX}_{role}"


def privileges(role: Role) -> dict[str, Rights]:
    """What web or worker may do with each table."""
    models, place = models_by_table(), APPLICATION.index(role)
    return {table: rights(spelled[place], models.get(table)) for table, spelled in TABLES.items()}


def append_only_tables() -> list[str]:
    """Tables of which a trigger refuses every change."""
    return sorted(
        table for table, model in models_by_table().items() if refused_by_triggers(model) >= {"UPDATE", "DELETE"}
    )


def undecided_tables() -> list[str]:
    """Tables that nobody decided about; nobody but the owner gets to them."""
    with connection.cursor() as cursor:
        return sorted(set(connection.introspection.table_names(cursor)) - set(TABLES))


def grant(passwords: Mapping[Role, str]) -> None:
    """Make the accounts and give each exactly its rights; repeat it after every migration.

    Everything happens in one transaction, so that running processes never see an account without rights. Raises
    `RolesRefused` when an account is missing and may not be made, or could do more than it must.
    """
    with transaction.atomic():
        _run(SQL("SELECT pg_advisory_xact_lock(hashtext('backoffice.database_roles'))"))
        me = _me()
        for role in Role:
            _ensure(role, me, passwords.get(role, ""))
        _grant_tables()


def _me() -> Me:
    ((name, may),) = _rows(
        SQL("SELECT rolname, rolsuper OR rolcreaterole FROM pg_roles WHERE rolname = current_user"),
    )
    return Me(name=name, may_manage_roles=may)


def _ensure(role: Role, me: Me, password: str) -> None:
    name = name_of(role)
    if not _rows(SQL("SELECT 1 FROM pg_roles WHERE rolname = {}").format(Literal(name))):
        if not me.may_manage_roles:
            raise RolesRefused(
                f"The role {name} is missing and {me.name} may not make it. As an administrator of the database run: "
                f"CREATE ROLE \"{name}\" LOGIN PASSWORD '...';"
            )
        _run(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
    question = SQL(
        "SELECT rolsuper OR rolcreaterole OR rolbypassrls OR pg_has_role(oid, {}, 'MEMBER'), rolconnlimit"
        " FROM pg_roles WHERE rolname = {}"
    )
    ((too_much, limit),) = _rows(question.format(Literal(me.name), Literal(name)))
    if too_much:
        raise RolesRefused(f"The role {name} must be no superuser, manage no roles and be no member of {me.name}.")
    if me.may_manage_roles:
        # Elsewhere passwords and limits are the administrator's. A limit that somebody set stays.
        if limit == -1:
            _run(SQL("ALTER ROLE {} CONNECTION LIMIT {}").format(Identifier(name), Literal(connection_limit(role))))
        if password:
            verifier = _scram(name, password)
            _run(SQL("ALTER ROLE {} PASSWORD {}").format(Identifier(name), Literal(verifier)))
        for setting, value in SESSION[role].items():
            _set(name, setting, value)


def limit_own_role(**_: object) -> None:
    """After migrations: the account that made them gets the limits too, because web and worker may run as the same.

    What somebody has set for it stays. A limit begins with the next connection.
    """
    with transaction.atomic():
        for name, setting in _rows(OWN_LIMITS.format(Literal(list(LIMITS)))):
            _set(name, setting, LIMITS[setting])


#: an account may always set its own
OWN_LIMITS = SQL(
    """
    SELECT rolname, wanted FROM pg_roles CROSS JOIN unnest({}::text[]) AS wanted
     WHERE rolname = session_user AND NOT EXISTS (
           SELECT 1 FROM pg_db_role_setting, unnest(setconfig) AS given
            WHERE setrole IN (0, pg_roles.oid) AND starts_with(given, wanted || '=')
              AND setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database())))
    """
)


def _set(role: str, setting: str, value: str) -> None:
    database = Identifier(connection.settings_dict["NAME"])
    _run(
        SQL("ALTER ROLE {} IN DATABASE {} SET {} = {}").format(
            Identifier(role), database, Identifier(setting), Literal(value)
        )
    )


def connection_limit(role: Role) -> int:
    ((maximum,),) = _rows(SQL("SELECT current_setting('max_connections')::int"))
    return max(1, int(maximum) * CONNECTION_SHARE[role] // 100)


def _scram(name: str, password: str) -> str:
    """The password as PostgreSQL stores it; the plain one would stand in the server's log of statements."""
    connection.ensure_connection()
    encrypted: bytes = connection.connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256")
    return encrypted.decode()


def _grant_tables() -> None:
    everybody = SQL(", ").join(Identifier(name_of(role)) for role in Role)
    # Before PostgreSQL 15 everybody may make tables, and a table in front of ours in the path would be read instead.
    _run(SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(SCHEMA))
    for kind in ("TABLES", "SEQUENCES"):
        _run(SQL("REVOKE ALL ON ALL {} IN SCHEMA {} FROM {}").format(SQL(kind), SCHEMA, everybody))
    _run(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(SCHEMA, everybody))
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
    for role in APPLICATION:
        account = Identifier(name_of(role))
        _run(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}").format(SCHEMA, account))
        for table, granted in privileges(role).items():
            if table in present:
                _grant_table(table, granted, account)
    for function, caller in FUNCTIONS.items():
        _run(SQL("REVOKE ALL ON FUNCTION {} FROM PUBLIC, {}").format(SQL(function), everybody))
        _run(SQL("GRANT EXECUTE ON FUNCTION {} TO {}").format(SQL(function), Identifier(name_of(caller))))
    for model in apps.get_app_config("orders").get_models(include_auto_created=True):
        if model._meta.db_table in present - NOT_FOR_REPORTS:
            reader = Identifier(name_of(Role.READER))
            _run(SQL("GRANT SELECT ON {} TO {}").format(_in_schema(model._meta.db_table), reader))
    _show_people()


def _grant_table(table: str, granted: Rights, account: Identifier) -> None:
    # What an earlier version granted for single columns goes with the rights to the table, which are all revoked.
    words: list[Composable] = [SQL(word) for word in granted.spelled]
    if not granted.is_whole:
        columns = SQL(", ").join(Identifier(column) for column in sorted(granted.columns))
        words.append(SQL("UPDATE ({})").format(columns))
    if words:
        _run(SQL("GRANT {} ON {} TO {}").format(SQL(", ").join(words), _in_schema(table), account))


def _show_people() -> None:
    """Show the accounts to the worker without their passwords, which are nothing to it.

    PostgreSQL looks into the schema of the account's own name first, so the worker asks for `auth_user` as all do.
    """
    table = get_user_model()._meta.db_table
    columns = [
        SQL("'!'::text AS password") if field.column == "password" else Identifier(str(field.column))
        for field in get_user_model()._meta.concrete_fields
    ]
    own = Identifier(name_of(Role.WORKER))
    _run(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(own))
    view = Identifier(name_of(Role.WORKER), table)
    # Anew, for its columns are those of the table as it is now. A migration that changes the type of one must drop it.
    _run(SQL("DROP VIEW IF EXISTS {}").format(view))
    _run(SQL("CREATE VIEW {} AS SELECT {} FROM {}").format(view, SQL(", ").join(columns), _in_schema(table)))
    _run(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(own, own))
    _run(SQL("GRANT SELECT ON {} TO {}").format(view, own))


def lock_the_switch(**_: object) -> None:
    """After migrations: only the owner can put a trigger to sleep with `pgtrigger.ignore`.

    Anybody may set that variable, and nobody can be forbidden to; each migration that installs a trigger writes
    pgtrigger's own function anew, which believes it from everybody.
    """
    _run(SWITCH)


def _in_schema(table: str) -> Identifier:
    return Identifier("public", table)


def _run(statement: Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)  # type: ignore[arg-type]


def _rows(statement: Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)  # type: ignore[arg-type]
        return list(cursor.fetchall())
