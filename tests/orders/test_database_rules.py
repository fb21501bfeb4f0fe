"""PostgreSQL refuses by itself what a service forgot: every CHECK, every unique rule, every trigger."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.db import DatabaseError, IntegrityError, connection, models, transaction

from orders.models import (
    ApiToken,
    Approval,
    Batch,
    BatchItem,
    Command,
    CreditNote,
    CreditNoteLine,
    Customer,
    Dispute,
    Export,
    ExportPlan,
    FeedDocument,
    FeedImport,
    FeedLayout,
    FeedRow,
    Finding,
    FraudCheck,
    FraudRules,
    GatewayEvent,
    IdempotencyRecord,
    LedgerTransfer,
    MaskedLine,
    Notice,
    Order,
    OrderEvent,
    OrderLine,
    OutboxMessage,
    PartnerHealth,
    Payment,
    ProcessDifference,
    ProcessRun,
    ProcessStep,
    Product,
    QualityCheck,
    QualitySample,
    Recovery,
    Refund,
    RefusedAction,
    Reservation,
    ReturnCase,
    ReviewCase,
    SealedHead,
    SealedLog,
    ServiceBeat,
    Shipment,
    StaffTask,
    Step,
    StockItem,
    SweepProgress,
    SystemEvent,
)
from orders.services import seals
from tests.factories import TEST_ACTOR, make_order, make_prepared_order
from tests.orders import account_rule_cases, partner_rule_cases, restore_rule_cases
from tests.orders import test_database_rules_exports as exports
from tests.orders import test_database_rules_playbooks as playbooks
from tests.orders import test_database_rules_returns as returns
from tests.orders.api_calls import make_token

ASKING = 9_000_001
NOW = datetime(2011, 12, 9, tzinfo=UTC)
pytestmark = pytest.mark.django_db


@pytest.fixture
def world() -> Order:
    """At least one row in every table; answers the order that they belong to."""
    order = make_prepared_order(quantity=2)
    user = get_user_model().objects.create_user("ada")
    Payment.objects.create(
        order=order,
        amount_minor=2000,
        currency="GBP",
        captured_minor=1500,
        refunded_minor=500,
        waits_for="bank",
        waiting_since=NOW,
    )
    Dispute.objects.create(
        order=order,
        gateway_reference="du_1",
        amount_minor=1000,
        currency="GBP",
        reason="fraudulent",
        status="open",
        gateway_status="needs_response",
        opened_at=NOW,
    )
    GatewayEvent.objects.create(id="evt_1", type="refund.updated", source="webhook", created_at=NOW)
    LedgerTransfer.objects.create(
        key="capture", order=order, debit_account="gateway", credit_account="customer", amount_minor=1, currency="GBP"
    )
    Shipment.objects.create(order=order, reference="shipment")
    PartnerHealth.objects.create(partner="payments")
    Command.objects.create(kind="hold", order=order, actor="ada", channel="cli", reason="Wait")
    rules = FraudRules.objects.create()
    FraudCheck.objects.create(
        order=order, rules=rules, score=60, suspicious=True, partner_score=0, partner_asked_at=NOW
    )
    second = get_user_model().objects.create_user("bob")
    ReviewCase.objects.create(
        order=order,
        status="approved",
        deadline_at=NOW,
        needs_second=True,
        first_by=user,
        decided_by=second,
        decided_at=NOW,
    )
    ServiceBeat.objects.create(identity="worker", service="worker", at=NOW)
    IdempotencyRecord.objects.create(key="key", user=user, route="orders", request_hash="0")
    note = CreditNote.objects.create(source="test", number="C1", currency="GBP", total_minor=1, issued_at=NOW)
    CreditNoteLine.objects.create(credit_note=note, position=1, sku="A", quantity=1, unit_price=1, total_minor=1)
    FeedLayout.objects.create(
        name="wholesale", columns={}, currency="EUR", payment_method="pm", made_by="ada", reason="A sender"
    )
    feed = FeedImport.objects.create(name="a.csv", layout="x", content=b"", sha256="0", size_bytes=0, actor="ada")
    FeedDocument.objects.create(feed=feed, reference="1", position=1, kind="order")
    FeedRow.objects.create(feed=feed, line=2, reference="1")
    seals.seal_history(actor=TEST_ACTOR)
    MaskedLine.objects.create(log="sign_ins", row_key="1", before_hash="0", after_hash="1")
    make_token(user, "full")
    RefusedAction.objects.create(hour=NOW, actor="ada", channel="api", action="start", first_at=NOW, last_at=NOW)
    asking = get_user_model().objects.create_user("asking", pk=ASKING)
    approval = Approval.objects.create(
        command="change_product", subject="A", parameters={}, channel="api", requested_by=asking, expires_at=NOW
    )
    Refund.objects.create(
        order=order, amount_minor=500, currency="GBP", reason="Broken", key="k1", actor="ada", channel="api"
    )
    Notice.objects.create(order=order, kind="order_failed")
    SystemEvent.objects.create(workflow_id="order:1", error_type="unexpected", message="KeyError")
    StaffTask.objects.create(kind="refund_owed", order=order, level="lead", says="Pay it back", opened_by="engine")
    make_process_run(order)
    partner_rule_cases.make_rows(order)
    restore_rule_cases.make_rows()
    account_rule_cases.make_rows(approval)
    Finding.objects.create(kind="wedged", order=order, says="Fails", first_seen_at=NOW, last_seen_at=NOW)
    Recovery.objects.create(order=order, why="Terminated", asked_by="sweeper")
    SweepProgress.objects.create(part="books")
    sample = QualitySample.objects.create(day=NOW.date(), shipped=1, drawn=1)
    QualityCheck.objects.create(sample=sample, order=order)
    batch = Batch.objects.create(action="hold", reason="Recall", actor="ada", channel="cli", item_count=1)
    BatchItem.objects.create(batch=batch, position=1, order=order)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return order


def make_process_run(order: Order) -> ProcessRun:
    """A run with a step under way that found a difference."""
    run = ProcessRun.objects.create(
        definition="day_end_close",
        business_day=NOW.date(),
        covers_from=NOW - timedelta(days=1),
        covers_until=NOW,
        status_by="ada",
        status_reason="x",
        actor="ada",
        channel="api",
    )
    ProcessStep.objects.create(run=run, position=1, name="reconcile", on_failure="stop", status="running")
    ProcessDifference.objects.create(run=run, kind="stock", order=order, reference=order.number, says="x")
    return run


def insert_copy(model: type[models.Model], **changes: Any) -> None:
    """INSERT a copy of the table's first row with some columns changed, as raw SQL: no Python check sees it."""
    fields = [field for field in model._meta.concrete_fields if not isinstance(field, models.AutoField)]
    columns = [field.column for field in fields]
    assert changes.keys() <= set(columns), f"{model.__name__} has no {changes.keys() - set(columns)}"
    values = ["%s" if column in changes else f'"{column}"' for column in columns]
    quoted = ", ".join(f'"{column}"' for column in columns)
    parameters = [changes[column] for column in columns if column in changes]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {model._meta.db_table} ({quoted})"
            f" SELECT {', '.join(values)} FROM (SELECT * FROM {model._meta.db_table} LIMIT 1) AS original",
            parameters,
        )
        assert cursor.rowcount == 1, f"the fixture has no {model.__name__}"


OTHER = "00000000-0000-4000-8000-000000000001"
#: constraint -> (table, what to change in a copy of a good row)
CASES: list[tuple[str, type[models.Model], dict[str, Any]]] = [
    ("product_price_not_negative", Product, {"unit_price": -1}),
    ("stock_not_negative", StockItem, {"on_hand": -1, "received": -1, "reserved": 0}),
    ("stock_not_negative", StockItem, {"on_hand": 5, "shipped": -1, "received": 4}),
    ("stock_reserved_within_on_hand", StockItem, {"reserved": 101}),
    ("stock_reserved_within_on_hand", StockItem, {"reserved": -1}),
    ("stock_conserved", StockItem, {"on_hand": 99}),
    ("stock_conserved", StockItem, {"shipped": 1}),
    ("order_total_positive", Order, {"total_minor": 0}),
    ("order_total_positive", Order, {"total_minor": -5}),
    ("order_total_positive", Order, {"total_minor": 100_000_000}),
    ("order_closed_when_terminal", Order, {"status": "completed"}),
    ("order_closed_when_terminal", Order, {"closed_at": NOW}),
    ("order_resumes_from_hold", Order, {"resume_status": "charging"}),
    ("order_resumes_from_hold", Order, {"status": "on_hold"}),
    ("feed_layout_quantity_positive", FeedLayout, {"default_quantity": 0}),
    ("feed_layout_has_author_and_reason", FeedLayout, {"made_by": ""}),
    ("feed_resumes_from_pause", FeedImport, {"status": "paused"}),
    ("feed_resumes_from_pause", FeedImport, {"resume_status": "storing"}),
    ("feed_file_gone", FeedImport, {"file_gone_at": NOW, "content": b"x"}),
    ("fraud_default_is_a_verdict", FraudRules, {"default_verdict": "open"}),
    ("fraud_partner_score_within", FraudRules, {"partner_hit_from": 101}),
    ("fraud_hours_positive", FraudRules, {"review_hours": 0}),
    ("fraud_hours_positive", FraudRules, {"escalation_hours": 0}),
    ("review_decided_has_time", ReviewCase, {"decided_at": None}),
    ("review_two_people", ReviewCase, {"first_by_id": None}),
    ("review_two_people", ReviewCase, {"decided_by_id": None}),
    ("payment_refund_within_capture", Payment, {"refunding_minor": 1001}),
    ("payment_refund_within_capture", Payment, {"refunding_minor": -1}),
    ("refund_amount_positive", Refund, {"amount_minor": 0}),
    ("refund_done_has_reference", Refund, {"status": "done", "finished_at": NOW}),
    ("refund_ended_has_time", Refund, {"status": "dropped"}),
    ("refund_ended_has_time", Refund, {"finished_at": NOW}),
    ("refund_one_open", Refund, {"id": "00000000-0000-4000-8000-000000000001", "key": "k2"}),
    ("task_acknowledged_has_owner", StaffTask, {"status": "acknowledged"}),
    ("task_about_one_of_three", StaffTask, {"order_id": None}),
    ("task_about_one_of_three", StaffTask, {"batch_id": OTHER}),
    ("task_about_one_of_three", StaffTask, {"subject": "batch-1"}),
    ("task_done_says_what", StaffTask, {"status": "done"}),
    ("task_done_says_what", StaffTask, {"resolution": "Paid"}),
    ("notice_ended_has_time", Notice, {"status": "sent"}),
    ("notice_ended_has_time", Notice, {"finished_at": NOW}),
    ("notice_unsent_says_why", Notice, {"status": "failed", "finished_at": NOW}),
    ("system_event_says_what", SystemEvent, {"error_type": ""}),
    ("system_event_says_what", SystemEvent, {"message": ""}),
    ("system_event_acknowledged_by_somebody", SystemEvent, {"acknowledged_at": NOW}),
    ("system_event_acknowledged_by_somebody", SystemEvent, {"note": "Seen"}),
    ("finding_seen_in_order", Finding, {"last_seen_at": NOW.replace(year=2010)}),
    ("finding_resolved_says_how", Finding, {"resolved_at": NOW}),
    ("finding_resolved_says_how", Finding, {"resolution": "Gone"}),
    ("finding_one_open", Finding, {"id": "00000000-0000-4000-8000-000000000001"}),
    ("finding_about_one_thing", Finding, {"reference": "pi_1"}),
    ("finding_about_one_thing", Finding, {"order_id": None}),
    ("recovery_says_why", Recovery, {"why": ""}),
    ("quality_sample_within", QualitySample, {"drawn": 2}),
    ("quality_whoever_checked_says_what", QualityCheck, {"note": "Good"}),
    ("quality_whoever_checked_says_what", QualityCheck, {"status": "passed", "note": "Good"}),
    ("line_quantity_within", OrderLine, {"quantity": 0}),
    ("line_quantity_within", OrderLine, {"quantity": -1}),
    ("line_quantity_within", OrderLine, {"quantity": 1_000_001}),
    ("line_amounts_not_negative", OrderLine, {"unit_price": -1}),
    ("line_amounts_not_negative", OrderLine, {"total_minor": -1}),
    ("payment_wait_has_begun", Payment, {"waits_for": ""}),
    ("payment_wait_has_begun", Payment, {"waiting_since": None}),
    ("payment_disputed_within_capture", Payment, {"disputed_minor": 1501}),
    ("payment_disputed_within_capture", Payment, {"disputed_minor": -1}),
    ("dispute_amount_positive", Dispute, {"amount_minor": 0}),
    ("dispute_withdrawn_within_amount", Dispute, {"withdrawn_minor": 1001}),
    ("dispute_withdrawn_within_amount", Dispute, {"withdrawn_minor": -1}),
    ("dispute_closed_has_time", Dispute, {"closed_at": NOW}),
    ("dispute_closed_has_time", Dispute, {"status": "won"}),
    ("payment_captured_within_amount", Payment, {"captured_minor": 2001}),
    ("payment_captured_within_amount", Payment, {"captured_minor": -1, "refunded_minor": -1}),
    ("payment_refund_within_capture", Payment, {"refunded_minor": 1501}),
    ("payment_refund_within_capture", Payment, {"refunded_minor": -1}),
    ("transfer_amount_positive", LedgerTransfer, {"amount_minor": 0}),
    ("transfer_amount_positive", LedgerTransfer, {"amount_minor": -1}),
    ("transfer_two_accounts", LedgerTransfer, {"credit_account": "gateway"}),
    ("event_has_actor_and_reason", OrderEvent, {"actor": ""}),
    ("event_has_actor_and_reason", OrderEvent, {"reason": ""}),
    ("reservation_quantity_positive", Reservation, {"quantity": 0}),
    ("reservation_quantity_positive", Reservation, {"quantity": -1}),
    ("credit_note_total_not_negative", CreditNote, {"total_minor": -1}),
    ("credit_line_quantity_not_negative", CreditNoteLine, {"quantity": -1}),
    ("credit_line_quantity_not_negative", CreditNoteLine, {"total_minor": -1}),
    ("customer_erased_has_no_key", Customer, {"reference": "X-1", "key_id": None}),
    ("partner_health_closed", PartnerHealth, {"opened_at": NOW}),
    ("partner_health_closed", PartnerHealth, {"next_try_at": NOW}),
    ("partner_health_open", PartnerHealth, {"state": "open", "opened_at": NOW}),
    ("partner_health_open", PartnerHealth, {"state": "half_open", "next_try_at": NOW}),
    ("partner_health_held", PartnerHealth, {"state": "held"}),
    ("refusal_counts", RefusedAction, {"times": 0}),
    ("approval_by_two_people", Approval, {"decided_by_id": ASKING}),
    ("approval_names_who_decided", Approval, {"status": "done"}),
    ("api_token_scopes_word", ApiToken, {"scopes": ["nonsense"]}),
    ("api_token_scopes_word", ApiToken, {"scopes": []}),
    ("command_that_ends", Command, {"until": NOW}),
    ("fraud_partner_asked_or_skipped", FraudCheck, {"partner_score": None}),
    ("fraud_partner_asked_or_skipped", FraudCheck, {"partner_asked_at": None}),
    ("process_covers_something", ProcessRun, {"covers_from": NOW}),
    ("process_ended_has_time", ProcessRun, {"status": "completed"}),
    ("process_ended_has_time", ProcessRun, {"finished_at": NOW}),
    ("process_once_a_day", ProcessRun, {"id": "00000000-0000-4000-8000-000000000001"}),
    ("process_step_ended_says_how", ProcessStep, {"position": 2, "status": "done", "finished_at": NOW}),
    ("process_step_ended_says_how", ProcessStep, {"position": 2, "status": "pending", "outcome": "x"}),
    ("process_step_one_at_a_time", ProcessStep, {"position": 2}),
    ("process_step_position", ProcessStep, {"status": "pending"}),
    ("process_difference_once", ProcessDifference, {}),
    # Unique rules: the copy alone breaks them, as long as nothing else does first.
    ("order_one_run_each", Order, {"id": "00000000-0000-4000-8000-000000000001", "number": "SO-1"}),
    ("command_one_start", Command, {"id": "00000000-0000-4000-8000-000000000001"}),
    (
        "command_one_standing",
        Command,
        {"id": "00000000-0000-4000-8000-000000000001", "kind": "hold", "status": "accepted"},
    ),
    ("event_sequence", OrderEvent, {}),
    ("line_position", OrderLine, {}),
    ("reservation_once", Reservation, {}),
    ("idempotency_key_once", IdempotencyRecord, {"request_hash": "1"}),
    ("credit_note_number", CreditNote, {}),
    ("credit_line_position", CreditNoteLine, {}),
    ("feed_document_once", FeedDocument, {"position": 2}),
    ("feed_document_position", FeedDocument, {"reference": "2"}),
    ("feed_row_line", FeedRow, {}),
    ("sealed_head_once", SealedHead, {}),
    ("sealed_log_once", SealedLog, {}),
    ("masked_line_once", MaskedLine, {}),
    ("refusal_once", RefusedAction, {}),
    ("task_one_open", StaffTask, {"id": "00000000-0000-4000-8000-000000000001"}),
    ("notice_once", Notice, {"id": "00000000-0000-4000-8000-000000000001"}),
    ("system_event_one_open", SystemEvent, {"id": "00000000-0000-4000-8000-000000000001"}),
    ("approval_one_waiting", Approval, {"id": "00000000-0000-4000-8000-000000000001"}),
    *partner_rule_cases.CASES,
    *restore_rule_cases.CASES,
    *account_rule_cases.CASES,
    ("outbox_parked_says_why", OutboxMessage, {"parked_at": NOW}),
    ("outbox_parked_says_why", OutboxMessage, {"parked_at": NOW, "delivered_at": NOW, "last_error": "Refused"}),
    ("batch_names_its_playbook", Batch, {"action": "playbook"}),
    ("batch_has_reason", Batch, {"reason": ""}),
    ("batch_auto_pause_is_percent", Batch, {"auto_pause_percent": 101}),
    ("batch_ended_has_time", Batch, {"finished_at": NOW}),
    ("batch_ended_has_time", Batch, {"status": "completed"}),
    ("batch_undoes_another", Batch, {"id": OTHER, "undo_of_id": OTHER}),
    ("batch_item_position", BatchItem, {"order_id": OTHER}),
    ("batch_item_order", BatchItem, {"position": 2, "status": "done", "finished_at": NOW}),
    ("batch_item_one_open", BatchItem, {"batch_id": OTHER}),
    ("batch_item_ended_has_time", BatchItem, {"status": "done"}),
    ("batch_item_ended_has_time", BatchItem, {"finished_at": NOW}),
    ("batch_item_failed_says_why", BatchItem, {"status": "failed", "finished_at": NOW}),
    ("batch_item_failed_says_why", BatchItem, {"error_type": "database"}),
]


def word_checks() -> list[tuple[str, type[models.Model], dict[str, Any]]]:
    """A case for every CHECK that holds a column to an enum, read from the models."""
    return [
        (constraint.name, model, {constraint.condition.children[0][0].removesuffix("__in"): "nonsense"})
        for model in apps.get_app_config("orders").get_models()
        if model not in (ReturnCase, Export, ExportPlan, *playbooks.MODELS)
        for constraint in model._meta.constraints
        if constraint.name.endswith("_word")
        and isinstance(constraint, models.CheckConstraint)
        and constraint.condition.children[0][0].endswith("__in")
    ]


def rule_that_refuses(model: type[models.Model], changes: dict[str, Any]) -> str | None:
    try:
        with transaction.atomic():
            insert_copy(model, **changes)
    except IntegrityError as refusal:
        return refusal.__cause__.diag.constraint_name  # type: ignore[union-attr]
    return None


@pytest.mark.parametrize("table", sorted({model.__name__ for _, model, _ in [*CASES, *word_checks()]}))
def test_row_that_breaks_a_rule_is_refused_by_that_rule(world: Order, table: str) -> None:
    cases = [case for case in [*CASES, *word_checks()] if case[1].__name__ == table]

    found = [(rule_that_refuses(model, changes), changes) for _, model, changes in cases]

    assert found == [(rule, changes) for rule, _, changes in cases]


def test_every_rule_of_the_models_has_a_case() -> None:
    declared = {
        constraint.name
        for model in apps.get_app_config("orders").get_models()
        for constraint in model._meta.constraints
    }
    # These need rows of their own: the tests below, test_erase_customer.py, test_schedule_commands.py and
    # test_batch_tasks.py.
    covered = {rule for rule, _, _ in [*CASES, *word_checks()]} | {
        "order_reference",
        "finding_one_open_of_reference",
        "command_one_erasure",
        "command_one_standing_subject",
        "task_one_open_of_batch",
        "task_one_open_of_subject",
    }
    # Those of returns change a row instead of copying one: test_database_rules_returns.py.
    covered |= {rule for rule, _, _ in returns.CASES} | returns.INSERTS
    # And those of exports and playbooks: test_database_rules_exports.py, test_database_rules_playbooks.py.
    covered |= exports.COVERED | playbooks.COVERED

    assert declared - covered == set(), "These constraints have no case: add a row that breaks each to CASES."


def test_money_of_no_order_is_found_once_until_it_is_resolved(world: Order) -> None:
    found = {"order_id": None, "reference": "pi_1"}
    insert_copy(Finding, id="00000000-0000-4000-8000-000000000001", **found)
    with pytest.raises(IntegrityError, match="finding_one_open_of_reference"), transaction.atomic():
        insert_copy(Finding, id="00000000-0000-4000-8000-000000000002", **found)
    insert_copy(Finding, id="00000000-0000-4000-8000-000000000003", **found | {"reference": "pi_2"})
    Finding.objects.filter(reference="pi_1").update(resolved_at=NOW, resolution="Gone")
    Finding.objects.create(kind="drift", reference="pi_1", says="Again")


def test_task_about_a_run_is_open_once_until_it_is_done(world: Order) -> None:
    about = {"order_id": None, "subject": "batch-1"}
    insert_copy(StaffTask, id="00000000-0000-4000-8000-000000000001", **about)
    with pytest.raises(IntegrityError, match="task_one_open_of_subject"), transaction.atomic():
        insert_copy(StaffTask, id="00000000-0000-4000-8000-000000000002", **about)
    insert_copy(StaffTask, id="00000000-0000-4000-8000-000000000003", **about | {"subject": "batch-2"})


def test_reference_of_a_source_is_taken_once_and_an_empty_one_as_often_as_you_like(world: Order) -> None:
    copy = {"process_run_id": "", "reference": "INV-1"}
    insert_copy(Order, id="00000000-0000-4000-8000-000000000001", number="SO-1", **copy)
    with pytest.raises(IntegrityError, match="order_reference"), transaction.atomic():
        insert_copy(Order, id="00000000-0000-4000-8000-000000000002", number="SO-2", **copy)
    insert_copy(Order, id="00000000-0000-4000-8000-000000000003", number="SO-3", **copy | {"source": "elsewhere"})
    insert_copy(Order, id="00000000-0000-4000-8000-000000000004", number="SO-4", **copy | {"reference": ""})
    insert_copy(Order, id="00000000-0000-4000-8000-000000000005", number="SO-5", **copy | {"reference": ""})


@pytest.mark.parametrize(
    ("model", "column"),
    [
        (Product, "sku"),
        (Order, "number"),
        (LedgerTransfer, "key"),
        (Payment, "order_id"),
        (Shipment, "reference"),
        (Step, "key"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_name_that_is_taken_is_refused(world: Order, model: type[models.Model], column: str) -> None:
    fresh = {"id": "00000000-0000-4000-8000-000000000001", "process_run_id": ""} if model is Order else {}

    with pytest.raises(IntegrityError, match=rf"Key \({column}\)="), transaction.atomic():
        insert_copy(model, **fresh)


def test_run_that_processes_one_order_cannot_be_given_to_another(world: Order) -> None:
    other = make_order()

    with pytest.raises(IntegrityError, match="order_one_run_each"), transaction.atomic():
        Order.objects.filter(pk=other.pk).update(process_run_id=world.process_run_id)


def test_second_start_of_an_order_is_refused_even_when_the_first_was_finished_long_ago(world: Order) -> None:
    world.commands.update(status="done", outcome="The order was completed.")

    with pytest.raises(IntegrityError, match="command_one_start"), transaction.atomic():
        Command.objects.create(kind="start", order=world, actor="ada", channel="cli", reason="again")


@pytest.mark.parametrize("side", ["debit_account", "credit_account"])
def test_booking_with_one_side_only_cannot_be_written(world: Order, side: str) -> None:
    for nothing in (None, ""):
        with pytest.raises(IntegrityError), transaction.atomic():
            insert_copy(LedgerTransfer, key="another", **{side: nothing})


# --- Rows that may not change, or not vanish --------------------------------------------------------------------------


def refused(sql: str) -> str:
    """Run the statement, which must be refused; answers PostgreSQL's words."""
    with pytest.raises(DatabaseError) as refusal, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("table", "change"),
    [
        ("orders_orderevent", "reason = 'x'"),
        ("orders_ledgertransfer", "amount_minor = 2"),
        ("orders_historyseal", "hash = ''"),
        ("orders_trackingevent", "event_id = ''"),
        ("orders_sealedhead", "chain_head = ''"),
        ("orders_sealedlog", "rows_hash = ''"),
    ],
)
def test_append_only_rows_can_neither_be_changed_nor_deleted(world: Order, table: str, change: str) -> None:
    assert "Cannot update or delete" in refused(f"UPDATE {table} SET {change}")
    assert "Cannot update or delete" in refused(f"DELETE FROM {table}")


@pytest.mark.parametrize("table", ["orders_orderline", "orders_order", "orders_maskedline"])
def test_orders_their_lines_and_notes_of_erasures_cannot_be_deleted(world: Order, table: str) -> None:
    assert "Cannot delete" in refused(f"DELETE FROM {table}")


def test_what_a_row_was_before_an_erasure_stands(world: Order) -> None:
    assert "Cannot update" in refused("UPDATE orders_maskedline SET before_hash = 'x'")


def test_versions_of_a_product_can_neither_be_changed_nor_deleted(world: Order) -> None:
    assert "Cannot update or delete" in refused("UPDATE orders_productevent SET sku = 'x'")
    assert "Cannot update or delete" in refused("DELETE FROM orders_productevent")


@pytest.mark.parametrize(
    "table",
    [
        "orders_orderevent",
        "orders_ledgertransfer",
        "orders_historyseal",
        "orders_sealedhead",
        "orders_sealedlog",
        "orders_maskedline",
        "orders_order",
        "orders_orderline",
    ],
)
def test_tables_cannot_be_emptied_behind_the_row_triggers(world: Order, table: str) -> None:
    assert "may not be truncated" in refused(f"TRUNCATE {table} CASCADE")


@pytest.mark.parametrize("act", [lambda order: order.delete(), lambda order: order.customer.delete()])
def test_orm_cannot_delete_an_order_or_its_customer(world: Order, act: Callable[[Order], None]) -> None:
    with pytest.raises((DatabaseError, models.ProtectedError)), transaction.atomic():
        act(world)

    assert Order.objects.filter(pk=world.pk, customer__isnull=False).exists()


def test_every_change_of_a_product_leaves_a_version(world: Order) -> None:
    Product.objects.update(unit_price=11)

    versions = (
        apps.get_model("orders", "ProductEvent").objects.order_by("pgh_id").values_list("pgh_label", "unit_price")
    )
    assert [(label, int(price)) for label, price in versions] == [("insert", 10), ("update", 11)]


def test_outbox_row_is_due_at_once_by_the_clock_of_the_database(world: Order) -> None:
    row = OutboxMessage.objects.get()

    with connection.cursor() as cursor:
        cursor.execute("SELECT %s <= statement_timestamp()", [row.available_at])
        assert cursor.fetchone() == (True,)
