"""The database accounts of the product, and what each may do with every table.

The owner migrates. Web and worker run as accounts that own nothing: a stolen session of theirs cannot rewrite history,
put a trigger to sleep or drop a table, whatever our code or an attacker sends. What may happen to a table is not listed
here but read from its model: a table whose trigger refuses UPDATE and DELETE grants neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import pgtrigger
from django.apps import apps
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Model
from psycopg.sql import SQL, Composable, Identifier, Literal

from orders.connections import LIMITS


class Role(StrEnum):
    WEB = "web"
    WORKER = "worker"
    #: reports; sees the tables of orders and no accounts, sessions or tokens
    READER = "reader"


APPLICATION = (Role.WEB, Role.WORKER)
ALL = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
#: written by migrations only
READ_ONLY = frozenset({"django_migrations", "django_content_type", "auth_permission"})
#: tables of orders that are no business of a report
NOT_FOR_REPORTS = frozenset(
    {
        *("orders_apitoken", "orders_customerkey", "orders_filekey", "orders_wordkey"),
        *("orders_refusedaction", "orders_requestcount"),
    }
)
#: in per cent of max_connections: workers at their limit leave connections to the web, and both leave some to the owner
CONNECTION_SHARE = {Role.WORKER: 65, Role.WEB: 20, Role.READER: 5}
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


def privileges() -> dict[str, frozenset[str]]:
    """What web and worker may do with each table."""
    decided = {
        model._meta.db_table: ALL - refused_by_triggers(model)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }
    return decided | {table: frozenset({"SELECT"}) for table in READ_ONLY}


def refused_by_triggers(model: type[Model]) -> frozenset[str]:
    """The operations that a trigger of the table refuses for every row."""
    triggers: Iterable[Any] = getattr(model._meta, "triggers", ())
    return frozenset(
        operation
        for trigger in triggers
        if isinstance(trigger, pgtrigger.Protect) and trigger.get_condition(model) is None  # type: ignore[arg-type]
        for operation in str(trigger.operation).split(" OR ")
    )


def append_only_tables() -> list[str]:
    return sorted(table for table, granted in privileges().items() if granted == {"SELECT", "INSERT"})


def undecided_tables() -> list[str]:
    """Tables that no model knows; nobody but the owner gets to them."""
    with connection.cursor() as cursor:
        return sorted(set(connection.introspection.table_names(cursor)) - set(privileges()))


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
    ((schema,),) = _rows(SQL("SELECT current_schema()"))
    everybody = SQL(", ").join(Identifier(name_of(role)) for role in Role)
    writers = SQL(", ").join(Identifier(name_of(role)) for role in APPLICATION)
    where = Identifier(schema)
    # Before PostgreSQL 15 everybody may make tables, and a table in front of ours in the path would be read instead.
    _run(SQL("REVOKE CREATE ON SCHEMA {} FROM PUBLIC").format(where))
    for kind in ("TABLES", "SEQUENCES"):
        _run(SQL("REVOKE ALL ON ALL {} IN SCHEMA {} FROM {}").format(SQL(kind), where, everybody))
    _run(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(where, everybody))
    _run(SQL("GRANT USAGE ON ALL SEQUENCES IN SCHEMA {} TO {}").format(where, writers))
    with connection.cursor() as cursor:
        present = set(connection.introspection.table_names(cursor))
    for table, granted in privileges().items():
        if table in present:
            rights = SQL(", ").join(SQL(word) for word in sorted(granted))
            _run(SQL("GRANT {} ON {} TO {}").format(rights, Identifier(schema, table), writers))
    for model in apps.get_app_config("orders").get_models(include_auto_created=True):
        if model._meta.db_table in present - NOT_FOR_REPORTS:
            reader = Identifier(name_of(Role.READER))
            _run(SQL("GRANT SELECT ON {} TO {}").format(Identifier(schema, model._meta.db_table), reader))


def _run(statement: Composable) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)  # type: ignore[arg-type]


def _rows(statement: Composable) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)  # type: ignore[arg-type]
        return list(cursor.fetchall())
