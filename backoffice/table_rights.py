"""What web and worker may do with each table of the database: the one place where that is decided.

A table that is not named here is the owner's alone, and a test says so. `a` is INSERT, `r` SELECT, `w` UPDATE, `d`
DELETE, as psql has them; `w(status outcome)` is an UPDATE of those columns only. Whoever locks rows needs an UPDATE of
one column at least. What a trigger of the table refuses is never granted, whatever stands here: a trigger can be
forgotten or put to sleep, a right that nobody has cannot.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pgtrigger
from django.apps import apps
from django.db.models import Model

WORDS = {"a": "INSERT", "r": "SELECT", "w": "UPDATE", "d": "DELETE"}
#: an account may change every column
ALL_COLUMNS = frozenset({"*"})
SPELLING = re.compile(r"^(?P<letters>[ard]*)(?:(?P<w>w)(?:\((?P<columns>[a-z_ ]+)\))?)?(?P<rest>[ard]*)$")

#: what became of a command; who asked for what, when and how stays as it was written
COMMAND = "arw(status outcome details finished_at reason)"
#: migrations and `bootstrap` write these
OWNERS_ONLY = ("r", "r")

#: table: (web, worker)
TABLES: dict[str, tuple[str, str]] = {
    # --- accounts: the worker asks who may do what; passwords (`database_roles._show_people`), sessions, tokens are not
    # its business
    "account_emailaddress": ("arwd", ""),
    "account_emailconfirmation": ("arwd", ""),
    "auth_user": ("arw", ""),
    "auth_group": ("arwd", "r"),
    "auth_group_permissions": ("ard", "r"),
    "auth_permission": OWNERS_ONLY,
    "auth_user_groups": ("ard", "r"),
    "auth_user_user_permissions": ("ard", "r"),
    "django_content_type": OWNERS_ONLY,
    "django_migrations": OWNERS_ONLY,
    "django_session": ("arwd", ""),
    "mfa_authenticator": ("arwd", ""),
    "orders_accountchange": ("ar", "r"),
    "orders_apitoken": ("arw(name last_used_at revoked_at revoked_by revoked_why)", ""),
    "orders_givenpermission": OWNERS_ONLY,
    "orders_sharednote": ("arwd", ""),
    "socialaccount_socialaccount": ("arwd", ""),
    "socialaccount_socialapp": ("arwd", ""),
    "socialaccount_socialtoken": ("arwd", ""),
    "usersessions_usersession": ("arwd", ""),
    # --- who did what
    "axes_accessattempt": ("arwd", ""),
    "axes_accessattemptexpiration": ("arwd", ""),
    "axes_accessfailurelog": ("ar", ""),
    "axes_accesslog": ("arw(logout_time)", ""),
    "django_admin_log": ("ar", ""),
    "orders_approval": ("arw", "arw(status decision decided_at)"),
    "orders_approvalmaker": ("ar", "ar"),
    "orders_automationchange": ("ar", "r"),
    "orders_command": (COMMAND, COMMAND),
    "orders_refusedaction": ("arw", ""),
    "pghistory_context": ("arw", "r"),
    # --- requests
    "orders_idempotencyrecord": ("arwd", ""),
    "orders_requestcount": ("arwd", ""),
    # --- orders
    "orders_customer": ("arw", "arw"),
    "orders_customerkey": ("arwd", "ar"),
    "orders_order": ("arw", "arw"),
    "orders_orderevent": ("ar", "ar"),
    "orders_orderline": ("arw", "arw"),
    "orders_ordertag": ("rw(tag)", "ard"),
    "orders_outboxmessage": ("arw", "arw"),
    "orders_recovery": ("arw", "arw"),
    "orders_restoredifference": ("rw", "arw"),
    "orders_step": ("arw", "arw"),
    "orders_wordkey": ("ard", "ar"),
    # --- money and goods
    "orders_dispute": ("r", "arw"),
    "orders_fraudcheck": ("r", "ar"),
    "orders_fraudrules": ("ar", "ar"),
    "orders_gatewayevent": ("ar", "arw"),
    "orders_ledgertransfer": ("ar", "ar"),
    "orders_payment": ("arw", "arw"),
    "orders_product": ("arw", "ar"),
    "orders_productevent": ("ar", "ar"),
    "orders_refund": ("arw", "arw"),
    "orders_reservation": ("rw", "arw"),
    "orders_returncase": ("arw", "rw"),
    "orders_returnline": ("arw", "r"),
    "orders_reviewcase": ("rw", "arw"),
    "orders_shipment": ("rw", "arw"),
    "orders_stockitem": ("rw", "arw"),
    "orders_trackingevent": ("r", "ar"),
    "orders_voucher": ("rw(reason)", "arw"),
    # --- playbooks
    "orders_partnerendpoint": ("arw", "r"),
    "orders_playbook": ("arw", "r"),
    "orders_playbookrun": ("arw", "arw"),
    "orders_playbookschedule": ("arw", "rw(next_at last_fired_at cursor last_started last_problem)"),
    "orders_playbooksteprun": ("rw", "arw"),
    "orders_playbooktrigger": ("arw", "rw(last_fired_at last_problem)"),
    "orders_playbookversion": ("arw", "r"),
    # --- work on many orders
    "orders_batch": ("arw", "rw"),
    "orders_batchitem": ("arw", "rw"),
    "orders_creditnote": ("r", "ar"),
    "orders_creditnoteline": ("r", "ar"),
    "orders_export": ("arw", "arw"),
    "orders_exportpart": ("ard", "arw(content)d"),
    "orders_exportplan": ("arw", "rw"),
    "orders_feeddocument": ("r", "arw"),
    "orders_feedimport": ("arw", "rw"),
    "orders_feedlayout": ("ar", "r"),
    "orders_feedrow": ("rw(customer_reference raw description country error problems)", "arwd"),
    "orders_filekey": ("ard", "ard"),
    "orders_processdifference": ("r", "ar"),
    "orders_processrun": ("arw", "arw"),
    "orders_processstep": ("arw", "arw"),
    "orders_qualitycheck": ("rw", "ar"),
    "orders_qualitysample": ("r", "arw"),
    # --- what staff is told, and the machinery
    "orders_engineuse": ("r", "arwd"),
    "orders_finding": ("rw", "arw"),
    "orders_historyseal": ("r", "ar"),
    "orders_incident": ("arw", "arw"),
    "orders_notice": ("rw", "arw"),
    "orders_partneranswer": ("r", "arw"),
    "orders_partnercall": ("arw", "rw"),
    "orders_partnerhealth": ("arw", "arw"),
    "orders_partnerrun": ("arw", "rw"),
    "orders_questionlease": ("", "arwd"),
    "orders_queuestate": ("r", "arw"),
    "orders_schedulestate": ("rw(seen_at)", "arwd"),
    "orders_maskedline": ("rw(keyed_digest)", ""),
    "orders_sealedhead": ("r", "ar"),
    "orders_sealedlog": ("r", "r"),
    "orders_servicebeat": ("arwd", "arwd"),
    "orders_stafftask": ("arw", "arw"),
    "orders_sweepprogress": ("arw", "arw"),
    "orders_systemevent": ("rw", "arw"),
}


@dataclass(frozen=True, kw_only=True)
class Rights:
    """What one account may do with one table."""

    #: without UPDATE
    words: frozenset[str]
    #: that it may change; all of them, or none
    columns: frozenset[str]

    @property
    def is_whole(self) -> bool:
        """Whether no single column must be named."""
        return self.columns in (frozenset(), ALL_COLUMNS)

    @property
    def spelled(self) -> list[str]:
        """As GRANT takes them, apart from the columns."""
        return sorted(self.words | ({"UPDATE"} if self.columns == ALL_COLUMNS else set()))


def rights(spelling: str, model: type[Model] | None) -> Rights:
    """What `spelling` grants, less what the triggers of the table refuse."""
    match = SPELLING.match(spelling)
    if match is None:
        raise ValueError(f"{spelling!r} is no right to a table")
    words = frozenset(WORDS[letter] for letter in match["letters"] + match["rest"])
    columns: frozenset[str] = frozenset()
    if match["w"]:
        columns = frozenset(match["columns"].split()) if match["columns"] else ALL_COLUMNS
    if model is None:
        return Rights(words=words, columns=columns)
    refused, frozen = refused_by_triggers(model), frozen_columns(model)
    if "UPDATE" in refused:
        columns = frozenset()
    elif frozen and columns:
        every = frozenset(str(field.column) for field in model._meta.concrete_fields)
        columns = (every if columns == ALL_COLUMNS else columns) - frozen
    return Rights(words=words - refused, columns=columns)


def models_by_table() -> dict[str, type[Model]]:
    return {
        model._meta.db_table: model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and not model._meta.proxy
    }


def refused_by_triggers(model: type[Model]) -> frozenset[str]:
    """The operations that a trigger of the table refuses for every row."""
    return frozenset(
        operation
        for trigger in _triggers(model)
        if isinstance(trigger, pgtrigger.Protect) and trigger.get_condition(model) is None  # type: ignore[arg-type]
        if not isinstance(trigger, pgtrigger.ReadOnly)
        for operation in str(trigger.operation).split(" OR ")
    )


def frozen_columns(model: type[Model]) -> frozenset[str]:
    """The columns that a trigger keeps as they were written."""
    every = {field.name: str(field.column) for field in model._meta.concrete_fields}
    frozen: set[str] = set()
    for trigger in _triggers(model):
        if isinstance(trigger, pgtrigger.ReadOnly):
            names = trigger.fields or set(every) - set(trigger.exclude or ())
            frozen |= {every[name] for name in names}
    return frozenset(frozen)


def _triggers(model: type[Model]) -> Iterable[Any]:
    found: Iterable[Any] = getattr(model._meta, "triggers", ())
    return found
