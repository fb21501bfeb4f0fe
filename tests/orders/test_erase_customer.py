"""Erasing the personal data of a customer: nothing of it is left in the database, and history and books still hold."""

import json
import secrets
from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.http import HttpResponse
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from backoffice.database_roles import Role
from orders import clock, history
from orders.actor import person
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.keyring import Unreadable
from orders.models import (
    ApiToken,
    Approval,
    Command,
    CreditNote,
    Customer,
    CustomerKey,
    IdempotencyRecord,
    LedgerTransfer,
    Order,
)
from orders.services import approvals, cancelling, erasing, invariants, placing
from orders.services.feeds import bad_rows_csv
from orders.services.playbooks import genuine
from orders.services.roles import ensure_roles
from orders.vocabulary import ApprovalStatus, Channel, CommandKind, EventType
from tests import rights
from tests.canary import found_in_database, in_files
from tests.factories import TEST_ACTOR, make_product
from tests.orders import driving, feed_files, playbooks
from tests.orders.api_calls import (
    PLACER,
    assert_problem,
    make_user,
    new_key,
    order_body,
    post_order,
    token_client,
)
from tests.orders.connections import PATIENCE, connections, wait_for_a_blocked_connection
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db

NAME, EMAIL, COUNTRY, TOKEN = "Zanzibar Canary", "canary@zanzibar.example", "Zanzibarland", "pm_canaryZanzibar"
REFERENCE = "ZB-4711"
CUSTOMER = {"reference": REFERENCE, "name": NAME, "email": EMAIL, "country": COUNTRY}


def placed(**changes: Any) -> Order:
    """An order of the canary, through the API, so that the saved answer exists too."""
    client = token_client(*PLACER)
    response = post_order(client, order_body(**{"customer": CUSTOMER, "payment_method": TOKEN, **changes}))
    assert response.status_code == 201, response.content
    return Order.objects.get(number=response.json()["number"])


def completed() -> Order:
    return driving.drive(placed(process=False))


def erase(reference: str = REFERENCE, reason: str = "Request 17") -> erasing.Erasure:
    return erasing.erase_customer(reference, actor=TEST_ACTOR, reason=reason)


def post_erase(client: Client, reference: str = REFERENCE, *, key: str | None = None) -> HttpResponse:
    return client.post(
        f"/api/customers/{reference}/erase/",
        json.dumps({"reason": "Request 17"}),
        content_type="application/json",
        headers={"Idempotency-Key": key or new_key()},
    )


def imported() -> Any:
    """A feed of the same customer: an order, a row that is cut off, one over two lines, and another's same digits."""
    return feed_files.imported(
        feed_files.row("1", customer=REFERENCE),
        feed_files.row("2", customer=REFERENCE, quantity="many"),
        feed_files.row("3", customer=REFERENCE, description='"two\nlines"', price="-1"),
        feed_files.row("4", customer="12345", description=REFERENCE, price="-1"),
        f"5,only,{REFERENCE}",
    )


def test_before_erasing_no_name_stands_in_clear_anywhere() -> None:
    completed()

    assert found_in_database(NAME, EMAIL, COUNTRY) == set()
    assert Customer.objects.get().email == EMAIL


def test_after_erasing_nothing_of_the_customer_is_in_any_table_and_everything_still_verifies() -> None:
    order = completed()
    imported()
    Order.objects.filter(source="online-retail").update(status="failed", closed_at=order.closed_at)
    books = list(LedgerTransfer.objects.values_list())
    assert {canary for _, _, canary in found_in_database(REFERENCE, TOKEN)} == {REFERENCE, TOKEN}

    assert post_erase(token_client("erase_customer")).status_code == 200

    left = found_in_database(NAME, EMAIL, COUNTRY, TOKEN)
    assert left == set()
    assert found_in_database(REFERENCE) == set()
    assert not in_files(REFERENCE)
    assert CustomerKey.objects.count() == Customer.objects.filter(erased_at=None).count()
    assert list(invariants.history_verifies(None)) == []
    assert list(LedgerTransfer.objects.values_list()) == books
    order.refresh_from_db()
    last = order.events.last()
    assert last is not None
    assert (last.type, last.reason, order.payment_method) == (EventType.CUSTOMER_ERASED, "Request 17", "erased")


def test_a_feed_loses_the_reference_and_nothing_else() -> None:
    feed = imported()
    Order.objects.update(status="failed", closed_at=feed.created_at)
    before = "".join(bad_rows_csv(feed))

    customer = erase().command.customer

    assert customer is not None
    after = "".join(bad_rows_csv(feed))
    others = f"{REFERENCE},1,2010-12-01 08:26:00,-1,12345"
    assert others in before
    theirs = before.replace(others, others.replace(REFERENCE, "erased"))
    assert after == theirs.replace(REFERENCE, customer.reference)


def test_digits_are_somebody_elses_quantity_in_the_rows_of_others() -> None:
    feed = feed_files.imported(
        feed_files.row("1", customer="17850", quantity="many"),
        feed_files.row("2", customer="12345", quantity="17850", price="-1"),
    )

    erase("17850")

    rows = "".join(bad_rows_csv(feed))
    assert "17850,2010-12-01 08:26:00,-1,12345" in rows
    assert rows.count("17850") == 1


def test_a_saved_answer_keeps_the_order_and_loses_the_customer() -> None:
    client, key = token_client(*PLACER), new_key()
    body = order_body(customer=CUSTOMER, process=False)
    first = post_order(client, body, key=key)
    assert (NAME in first.content.decode(), IdempotencyRecord.objects.count()) == (True, 1)
    driving.drive(Order.objects.get())
    erase()

    again = post_order(client, body, key=key)

    assert (again.status_code, again["Idempotent-Replayed"], Order.objects.count()) == (201, "true", 1)
    assert again.json()["number"] == first.json()["number"]
    assert {again.json()["customer"][name] for name in ("name", "email", "country")} == {"erased"}


def test_a_second_request_looks_again_and_says_that_nothing_has_come_in() -> None:
    completed()
    first, second = erase(), erase()

    assert (first.is_new, second.is_new, second.customer) == (True, False, first.customer)
    assert "It had been erased before, and nothing has come in since." in second.words
    assert "Looked in " in second.words
    assert "Found nothing." in second.words
    assert [place.where for place in second.places] == [place.where for place in first.places]
    assert second.command.details["report"] == [place.as_row() for place in second.places]
    assert Order.objects.get().events.filter(type=EventType.CUSTOMER_ERASED).count() == 1
    with pytest.raises(IntegrityError, match="command_one_erasure"), transaction.atomic():
        Command.objects.create(
            kind=CommandKind.ERASE_CUSTOMER, customer=first.command.customer, actor="x", channel=Channel.CLI, reason="x"
        )


def test_what_comes_in_again_of_an_erased_customer_is_erased_by_the_next_request() -> None:
    feed = feed_files.imported(feed_files.row("1", customer=REFERENCE))
    Order.objects.update(status="failed", closed_at=feed.created_at)
    first = erase()
    feed_files.imported(feed_files.row("1", customer=REFERENCE))
    assert {table for table, _, _ in found_in_database(REFERENCE)} == {"orders_feedrow"}
    assert in_files(REFERENCE)

    again, third = erase(reason=f"{REFERENCE} asked again"), erase()

    assert found_in_database(REFERENCE) == set()
    assert not in_files(REFERENCE)
    assert (again.customer, again.is_new, third.is_new) == (first.customer, True, False)
    assert "Found and erased in: files of imports (1), rows of imports (1)." in again.words
    assert again.command.reason == "erased asked again"
    answer = post_erase(token_client("erase_customer"))
    assert answer.json()["customer"] == first.customer
    assert found_in_database(REFERENCE) == set(), "nor does the address of the request"


def test_somebody_whose_rows_were_all_refused_is_erased_without_being_a_customer() -> None:
    feed_files.imported(feed_files.row("1", customer=REFERENCE, quantity="many"))
    assert not Customer.objects.exists()

    answer = post_erase(token_client("erase_customer"))

    assert answer.status_code == 200
    assert found_in_database(REFERENCE) == set()
    customer = Customer.objects.get()
    assert (customer.erased_at is not None, customer.reference) == (True, answer.json()["customer"])
    assert not erase().is_new


def test_names_that_people_gave_to_things_lose_the_customers() -> None:
    feed = feed_files.imported(feed_files.row("1"), name=f"{EMAIL} of {NAME}.csv")
    token_client("view_order")
    ApiToken.objects.update(name=f"for {NAME}")
    completed()

    erase()

    assert found_in_database(NAME, EMAIL) == set()
    feed.refresh_from_db()
    assert feed.name == "erased of erased.csv"


def test_open_orders_are_named_and_nothing_is_erased() -> None:
    completed()
    waiting = placed()

    with pytest.raises(WrongState, match=f"open orders: {waiting.number}"):
        erase()

    assert {customer.name for customer in Customer.objects.all()} == {NAME}


def test_an_import_under_way_is_waited_for() -> None:
    feed = imported()
    Order.objects.update(status="failed", closed_at=feed.created_at)
    type(feed).objects.update(status="storing")

    with pytest.raises(WrongState, match=r"still under way: day\.csv"):
        erase()


@pytest.mark.parametrize(("role", "may"), [("viewer", False), ("agent", False), ("lead", True)])
def test_only_a_lead_may_erase(role: str, may: bool) -> None:
    ensure_roles()
    completed()
    user = make_user()
    user.groups.add(Group.objects.get(name=role))
    if may:
        assert erasing.erase_customer(REFERENCE, actor=person(user, Channel.API), reason="Request 17").is_new
        return
    with pytest.raises(NotPermitted, match=r"orders\.erase_customer"):
        erasing.erase_customer(REFERENCE, actor=person(user, Channel.API), reason="Request 17")
    assert_problem(post_erase(token_client(user=user)), 403)
    assert Customer.objects.get().name == NAME


@pytest.mark.parametrize("reason", ["", " ", "x" * 501])
def test_a_reason_is_needed_and_limited(reason: str) -> None:
    completed()
    with pytest.raises(InvalidInput, match="reason"):
        erase(reason=reason)


def test_reasons_that_name_the_person_are_gone_and_the_chain_still_holds() -> None:
    order = placed(process=False)
    placing.start(order.number, actor=TEST_ACTOR, reason=f"{NAME} called")
    Order.objects.update(status="failed", closed_at=order.created_at)
    other = placed(customer={"reference": "C-other", "name": "Other"}, process=False)
    placing.start(other.number, actor=TEST_ACTOR, reason="A neighbour called")
    cancelling.cancel(other.number, actor=TEST_ACTOR, reason=f"Ordered by {EMAIL}")
    assert found_in_database(NAME, EMAIL) == {("orders_command", "reason", NAME), ("orders_command", "reason", EMAIL)}
    started = order.events.get(type=EventType.START_REQUESTED)
    assert (str(started.reason), started.reason == f"{NAME} called") == (f"{NAME} called", True)

    done = erase(reason=f"{EMAIL} asked")

    assert found_in_database(NAME, EMAIL) == set()
    assert {"where": "orders.OrderEvent", "found": 2, "stays": False} in done.command.details["report"]
    assert done.command.reason == "erased asked"
    assert order.commands.get(kind=CommandKind.START).reason == "erased called"
    assert order.events.get(type=EventType.START_REQUESTED).reason == "erased"
    assert other.events.get(type=EventType.CANCEL_ASKED).reason == "erased"
    assert other.events.get(type=EventType.START_REQUESTED).reason == "A neighbour called"
    for one in (order, other):
        one.refresh_from_db()
    assert history.verify_chain(other, other.events.order_by("sequence")) is None
    broken = history.verify_chain(order, order.events.order_by("sequence"))
    assert broken is None or "the order is failed" in broken.problem, "only this test moved it past its history"


def test_a_reason_that_an_earlier_version_stored_in_clear_stays_and_is_counted(tamper: Callable[..., None]) -> None:
    order = completed()
    tamper("UPDATE orders_orderevent SET reason = %s WHERE order_id = %s AND sequence = 1", f"{NAME} called", order.pk)

    done = erase()

    assert "Cannot be changed and still name the person: order events (1)." in done.words
    assert not erase(REFERENCE).is_new


def test_the_command_line_erases_and_says_why_not() -> None:
    completed()
    said = StringIO()
    call_command("erase_customer", REFERENCE, reason="Request 17", json=True, stdout=said)
    answer = json.loads(said.getvalue().splitlines()[-1])
    assert (answer["new"], answer["report"][0]["where"]) == (True, "files of imports")
    plain = StringIO()
    call_command("erase_customer", REFERENCE, reason="Request 17", stdout=plain)
    assert "  orders.Command: 0\n" in plain.getvalue()
    with pytest.raises(CommandError, match="no customer"):
        call_command("erase_customer", "C-unknown", reason="Request 17")


def test_words_that_the_asker_knows_are_looked_for_and_not_kept() -> None:
    token_client("view_order")
    ApiToken.objects.update(name="for Canary Street 5 (+44 7700)")
    completed()

    answer = token_client("erase_customer").post(
        f"/api/customers/{REFERENCE}/erase/",
        json.dumps({"reason": "Request 17", "also": ["canary street 5", "+44 7700"]}),
        content_type="application/json",
        headers={"Idempotency-Key": new_key()},
    )

    assert answer.status_code == 200
    assert {"where": "orders.ApiToken", "found": 1, "stays": False} in answer.json()["report"]
    assert ApiToken.objects.filter(name="for erased (erased)").exists()
    assert found_in_database("Canary Street 5", "canary street 5", "+44 7700") == set()


def test_a_person_whom_only_texts_name_is_erased_without_being_a_customer() -> None:
    token_client("view_order")
    ApiToken.objects.update(name=f"for {REFERENCE}")

    done = erase()

    assert (done.is_new, ApiToken.objects.get().name) == (True, "for erased")
    assert not erase().is_new


@pytest.mark.parametrize("also", [["ab"], ["x" * 201], ["word"] * 21])
def test_words_are_limited_so_that_not_every_text_is_hit(also: list[str]) -> None:
    completed()
    with pytest.raises(InvalidInput) as refused:
        erasing.erase_customer(REFERENCE, actor=TEST_ACTOR, reason="Request 17", also=also)
    assert refused.value.field == "also"


def test_what_an_approval_holds_is_signed_anew_unless_it_was_forged(tamper: Callable[..., None]) -> None:
    completed()
    first, second = playbooks.chief(), playbooks.chief("second")
    asked = {"reason": f"{NAME} called", "amount": "5"}
    honest, forged, waiting = (
        approvals.ask(
            "publish_playbook", subject=subject, says="Do it.", parameters=asked, reason=f"For {NAME}", actor=first
        )
        for subject in ("a", "b", "c")
    )
    for approval in (honest, forged):
        approval.status, approval.decided_at = ApprovalStatus.DONE, clock.now()
        approval.decided_by_id = second.user.pk  # type: ignore[union-attr]
        approvals.sign_decision(approval)
        approval.save(update_fields=["status", "decided_by", "decided_at", "decided_digest"])
    tamper('UPDATE orders_approval SET parameters = parameters || \'{"amount": "500"}\' WHERE id = %s', forged.pk)

    with rights.of(Role.WEB):
        erase()

    for approval in (honest, forged, waiting):
        old = approval.asked_digest
        approval = Approval.objects.get(pk=approval.pk)
        assert (approval.parameters["reason"], approval.reason) == ("erased called", "For erased")
        assert (approval.asked_digest == old) == (approval == forged)
    assert approvals.confirm(Approval.objects.get(pk=honest.pk)).user == first.user
    with pytest.raises(WrongState, match="What was asked for was changed"):
        approvals.confirm(Approval.objects.get(pk=forged.pk))
    assert Approval.objects.get(pk=waiting.pk).decided_digest == ""


def test_that_a_second_person_agreed_is_not_signed_anew_when_it_was_forged(tamper: Callable[..., None]) -> None:
    completed()
    asked = approvals.ask(
        "publish_playbook",
        subject="a",
        says="Do it.",
        parameters={"reason": NAME},
        reason="test",
        actor=playbooks.chief(),
    )
    other = playbooks.chief("second").user
    assert other is not None
    tamper("UPDATE orders_approval SET status = 'done', decided_at = now(), decided_by_id = %s", other.pk)
    erase()
    asked.refresh_from_db()
    assert asked.parameters == {"reason": "erased"}
    with pytest.raises(WrongState, match="not written by this program"):
        approvals.confirm(asked)


def test_what_a_version_says_is_signed_anew_unless_it_was_forged(tamper: Callable[..., None]) -> None:
    completed()
    told = playbooks.note("a", text=f"Call {NAME}")
    honest, forged = (playbooks.published(told, slug=slug, title=f"Calls {NAME}") for slug in ("honest", "forged"))
    tamper("UPDATE orders_playbookversion SET title = %s WHERE id = %s", f"Pays {NAME}", forged.pk)
    old = forged.keyed_digest

    with rights.of(Role.WEB):
        erase()

    honest.refresh_from_db()
    forged.refresh_from_db()
    assert (honest.title, forged.title) == ("Calls erased", "Pays erased")
    assert "Call erased" in json.dumps(honest.document)
    genuine.require_genuine(honest)
    assert honest.hash == genuine.hash_of(honest.document)
    assert forged.keyed_digest == old
    with pytest.raises(WrongState, match="past this program"):
        genuine.require_genuine(forged)


def test_the_api_answers_once_for_a_key_and_the_detail_says_erased() -> None:
    order = completed()
    client, key = token_client("erase_customer", "view_order"), new_key()

    first, again = post_erase(client, key=key), post_erase(client, key=key)

    assert (first.status_code, again["Idempotent-Replayed"], first.content) == (200, "true", again.content)
    assert first.json()["customer"] == Customer.objects.get().reference
    assert client.get(f"/api/orders/{order.number}/").json()["customer"]["name"] == "erased"
    assert_problem(post_erase(client, "C-unknown"), 404)


def test_the_admin_erases_by_a_confirmed_dialog_and_pages_say_erased() -> None:
    order = completed()
    client = signed_in("orders.view_customer", "orders.view_order", "orders.erase_customer")
    pk = Customer.objects.get().pk
    address = f"/admin/orders/customer/{pk}/erase/"
    client.get(address)
    assert Customer.objects.get().name == NAME

    told = client.post(
        address, {"_form_submitted": "on", "reason": "Request 17", "also": "1 Mill Lane\n+44 7700"}, follow=True
    )

    assert Customer.objects.get().erased_at is not None
    assert "Looked in " in told.content.decode()
    assert "Looked in " in client.get(f"/admin/orders/customer/{pk}/change/").content.decode()
    for page in ("/admin/orders/customer/", f"/admin/orders/customer/{pk}/change/", f"/orders/{order.number}/"):
        response = client.get(page, follow=True)
        assert response.status_code == 200
        assert f"erased-{pk}" in response.content.decode()
        assert NAME not in response.content.decode()


def test_a_credit_note_over_an_erased_customers_order_is_still_matched() -> None:
    feed = feed_files.imported(feed_files.row("1", quantity=5))
    Order.objects.update(status="failed", closed_at=feed.created_at)
    erase("17850")

    feed_files.imported(feed_files.row("C1", quantity=-2, at="2010-12-02 08:26:00"))

    assert CreditNote.objects.get().order == Order.objects.get()


def test_whoever_comes_back_is_a_new_customer() -> None:
    completed()
    erase()
    order = placed(process=False)
    assert order.customer is not None
    assert (order.customer.name, Customer.objects.count()) == (NAME, 2)


@pytest.mark.django_db(transaction=True)
def test_an_order_placed_while_the_customer_is_erased_belongs_to_a_new_one() -> None:
    order = completed()
    product = make_product()
    new = placing.NewOrder(
        currency="GBP",
        payment_method="pm_card_visa",
        ship_to_country="GB",
        customer=placing.NewCustomer(reference=REFERENCE, name=NAME),
        lines=(placing.NewLine(sku=product.sku, quantity=1),),
    )
    with connections(1) as others:
        with transaction.atomic():
            erase()
            later = others.begin(placing.place, new, actor=TEST_ACTOR)
            wait_for_a_blocked_connection()
        placed_later = later.result(PATIENCE)
    assert placed_later.customer_id != order.customer_id
    assert Customer.objects.get(pk=placed_later.customer_id).name == NAME


def test_a_wrong_or_missing_master_key_says_which(settings: Settings) -> None:
    completed()
    key_id = settings.PERSONAL_DATA_KEYS.partition(":")[0]
    for ring, words in ((key_id, f"holds another key under the id '{key_id}'"), ("other", "does not hold")):
        settings.PERSONAL_DATA_KEYS = f"{ring}:{secrets.token_urlsafe(32)}"
        with pytest.raises(Unreadable, match=words):
            _ = Customer.objects.get().name


def test_an_encrypted_text_moved_to_another_customer_cannot_be_read() -> None:
    placed()
    other = placed(customer={"reference": "C-other", "name": "Other"}).customer
    assert other is not None
    assert other.key is not None
    Customer.objects.filter(pk=other.pk).update(personal=Customer.objects.get(reference=REFERENCE).personal)
    with pytest.raises(Unreadable):
        _ = Customer.objects.get(pk=other.pk).name


@pytest.mark.parametrize("ring", ["", "id", "id:short", "a b:x", "id:%%"])
def test_unusable_keys_stop_the_start_with_a_hint(settings: Settings, ring: str) -> None:
    settings.PERSONAL_DATA_KEYS = ring
    found = [message for message in run_checks() if message.id == "backoffice.E005"]
    assert len(found) == 1
    assert found[0].hint


def test_200_orders_are_listed_with_their_names_in_as_few_queries_as_one(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    product = make_product(stock=1000)
    for number in range(200):
        placing.place(
            placing.NewOrder(
                currency="GBP",
                payment_method="pm_card_visa",
                ship_to_country="GB",
                customer=placing.NewCustomer(reference=f"C-{number}", name=f"Buyer {number}"),
                lines=(placing.NewLine(sku=product.sku, quantity=1),),
            ),
            actor=TEST_ACTOR,
        )
    client = signed_in("orders.view_order", "orders.view_customer")
    for page in ("/admin/orders/order/?all=", "/admin/orders/customer/?all="):
        with django_assert_max_num_queries(9):
            assert "Buyer 199" in client.get(page).content.decode()
