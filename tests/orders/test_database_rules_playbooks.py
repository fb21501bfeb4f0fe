"""PostgreSQL refuses by itself what a service of playbooks forgot: each rule of its tables."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, models, transaction

from orders.models import (
    Notice,
    OrderTag,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookStepRun,
    PlaybookTrigger,
    PlaybookVersion,
    Voucher,
)
from orders.services.playbooks import following, setting
from orders.vocabulary import EventType
from tests.factories import TEST_ACTOR, make_order
from tests.orders.playbooks import chief, note, start

pytestmark = pytest.mark.django_db

MODELS: tuple[type[models.Model], ...] = (
    PlaybookVersion,
    PlaybookTrigger,
    PlaybookSchedule,
    PlaybookRun,
    PlaybookStepRun,
    OrderTag,
    Voucher,
)
#: rule -> a statement that breaks it
CASES: list[tuple[str, str]] = [
    ("playbookversion_status_word", "UPDATE orders_playbookversion SET status = 'lost'"),
    ("playbook_published_has_time", "UPDATE orders_playbookversion SET published_at = NULL"),
    ("playbook_published_has_time", "UPDATE orders_playbookversion SET status = 'draft'"),
    ("written_once", "UPDATE orders_playbookversion SET document = '{}'"),
    ("written_once", "UPDATE orders_playbookversion SET hash = 'x'"),
    ("never_deleted", "DELETE FROM orders_playbookversion"),
    ("playbooktrigger_event_word", "UPDATE orders_playbooktrigger SET event = 'order.nix'"),
    ("playbook_schedule_hours", "UPDATE orders_playbookschedule SET every_hours = 0"),
    ("playbook_schedule_hours", "UPDATE orders_playbookschedule SET every_hours = 721"),
    ("playbookrun_status_word", "UPDATE orders_playbookrun SET status = 'lost'"),
    ("playbook_run_ended_has_time", "UPDATE orders_playbookrun SET status = 'completed'"),
    ("playbook_run_ended_has_time", "UPDATE orders_playbookrun SET ended_at = now()"),
    ("written_once", "UPDATE orders_playbookrun SET version_hash = 'x'"),
    ("written_once", "UPDATE orders_playbookrun SET inputs = '{\"a\": 1}'"),
    ("never_deleted", "DELETE FROM orders_playbookrun"),
    ("playbooksteprun_status_word", "UPDATE orders_playbooksteprun SET status = 'lost'"),
    ("never_deleted", "DELETE FROM orders_playbooksteprun"),
    ("voucher_currency_word", "UPDATE orders_voucher SET currency = 'XXX'"),
    ("voucher_amount_positive", "UPDATE orders_voucher SET amount_minor = 0"),
    ("never_deleted", "DELETE FROM orders_voucher"),
    ("notice_message_says_something", "UPDATE orders_notice SET subject = ''"),
    ("notice_message_says_something", "UPDATE orders_notice SET kind = 'order_failed'"),
]
#: rules that only a new row can break; the last test has them
INSERTS = {
    "playbook_version_once",
    "playbook_trigger_once",
    "playbook_schedule_once",
    "playbookrun_trigger_word",
    "playbookrun_channel_word",
    "playbook_run_once_by_cause",
    "playbook_run_one_open",
    "playbook_step_once",
    "order_tag_once",
    "notice_message_once",
}
COVERED = {rule for rule, _ in CASES} | INSERTS
#: the words of a refusal by a trigger do not name it
TRIGGERS = {"written_once": "Cannot update", "never_deleted": "Cannot delete"}


@pytest.fixture
def run() -> PlaybookRun:
    """A run with a step, and one row of every other table."""
    order = make_order()
    begun = start(order, note("a"))
    following.execute(str(begun.pk), "steps.0", actor=TEST_ACTOR)
    setting.set_trigger("test", EventType.HELD, actor=chief())
    setting.set_schedule("test", every_hours=2, condition="true", actor=chief())
    OrderTag.objects.create(order=order, tag="vip", made_by="x")
    Voucher.objects.create(order=order, code="V-1", amount_minor=5, currency="GBP", key="k", reason="x", made_by="x")
    Notice.objects.create(order=order, kind="message", subject="s", text="t", key="k")
    return begun


@pytest.mark.parametrize(("rule", "sql"), CASES)
def test_a_change_that_breaks_a_rule_is_refused_by_that_rule(run: PlaybookRun, rule: str, sql: str) -> None:
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert TRIGGERS.get(rule, rule) in str(refusal.value)


def test_a_row_that_is_there_already_or_has_a_strange_word_is_refused(run: PlaybookRun) -> None:
    version, order = run.version, run.order
    same_run: dict[str, Any] = {"version_hash": "x", "order": order, "started_by": run.started_by, "reason": "x"}
    tries: list[tuple[str, type[models.Model], dict[str, Any]]] = [
        ("playbook_version_once", PlaybookVersion, {"playbook": version.playbook, "number": 1, "document": {}}),
        (
            "playbook_trigger_once",
            PlaybookTrigger,
            {"playbook": version.playbook, "event": EventType.HELD, "made_by": "x"},
        ),
        ("playbook_schedule_once", PlaybookSchedule, {"playbook": version.playbook, "every_hours": 1}),
        ("playbook_run_one_open", PlaybookRun, {**same_run, "version": version, "trigger": "hand", "channel": "api"}),
        ("playbookrun_trigger_word", PlaybookRun, {**same_run, "version": version, "trigger": "x", "channel": "api"}),
        ("playbookrun_channel_word", PlaybookRun, {**same_run, "version": version, "trigger": "hand", "channel": "x"}),
        ("playbook_step_once", PlaybookStepRun, {"run": run, "path": "steps.0", "step_id": "a", "type": "activity"}),
        ("order_tag_once", OrderTag, {"order": order, "tag": "vip", "made_by": "x"}),
        ("notice_message_once", Notice, {"order": order, "kind": "message", "subject": "s", "text": "t", "key": "k"}),
    ]
    for rule, model, fields in tries:
        with pytest.raises(DatabaseError, match=rule), transaction.atomic():
            model._default_manager.create(**fields)


def test_one_cause_starts_one_run(run: PlaybookRun) -> None:
    fields = {"version": run.version, "version_hash": "x", "trigger": "event", "channel": "api", "reason": "x"}
    for number, order in enumerate((make_order(), make_order())):
        with pytest.raises(DatabaseError, match="playbook_run_once_by_cause") if number else transaction.atomic():
            PlaybookRun.objects.create(order=order, started_by=run.started_by, cause="event:1:1", **fields)


def test_every_rule_of_playbooks_has_a_case() -> None:
    declared = {rule.name for model in MODELS for rule in model._meta.constraints}
    assert declared <= COVERED
