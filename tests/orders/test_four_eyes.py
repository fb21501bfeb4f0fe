"""What one person asks for, another decides, and only what was asked for is done."""

import threading
from datetime import timedelta
from decimal import Decimal

import pytest
import time_machine
from django.contrib.auth.models import Permission, User
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from orders.actor import person, system
from orders.errors import InvalidInput, NotPermitted, WrongState
from orders.models import Approval, Product, RefusedAction
from orders.services import approvals, catalogue, deciding
from orders.vocabulary import ApprovalStatus, Channel
from tests.factories import make_product
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
LEAD = ("orders.change_product", "orders.decide_approval", "orders.view_approval", "orders.view_product")


def lead(name: str) -> User:
    return make_user(*LEAD, name=name)


def ask(user: User, product: Product, price: str = "99.00") -> Approval:
    found = catalogue.change_product(
        product.sku, name="Lamp", unit_price=Decimal(price), actor=person(user, Channel.ADMIN)
    )
    assert found is not None
    return found


def answer(client: Client, approval: Approval, verb: str, **body: str) -> HttpResponse:
    return client.post(f"/api/approvals/{approval.pk}/{verb}/", body, content_type="application/json")


def approve(approval: Approval, user: User) -> Approval:
    return deciding.approve(approval.pk, actor=person(user, Channel.ADMIN))


def price(product: Product) -> Decimal:
    product.refresh_from_db()
    return product.unit_price


@pytest.fixture
def product() -> Product:
    return make_product(unit_price="10.00")


@pytest.fixture
def anna() -> User:
    return lead("anna")


@pytest.fixture
def ben() -> User:
    return lead("ben")


def test_a_near_price_is_changed_at_once_and_a_far_one_when_a_second_person_agrees(
    product: Product, anna: User, ben: User
) -> None:
    actor = person(anna, Channel.ADMIN)
    assert catalogue.change_product(product.sku, name="Lamp", unit_price=Decimal("20.00"), actor=actor) is None
    assert price(product) == 20

    approval = ask(anna, product, "2.00")
    assert price(product) == 20

    done = approve(approval, ben)
    assert (done.status, done.decided_by, price(product)) == (ApprovalStatus.DONE, ben, 2)


def test_nobody_approves_what_they_asked_for_not_even_a_superuser(product: Product) -> None:
    chief = User.objects.create_superuser("chief")
    approval = ask(chief, product)

    for decide in (deciding.approve, deciding.decline):
        with pytest.raises(NotPermitted, match="another person must decide"):
            decide(approval.pk, actor=person(chief, Channel.API), reason="Mine")
    assert price(product) == 10


def test_the_database_refuses_one_person_as_both(product: Product, anna: User) -> None:
    approval = ask(anna, product)
    with pytest.raises(IntegrityError, match="approval_by_two_people"), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(decided_by=anna)


def test_what_was_asked_for_cannot_be_edited(product: Product, anna: User) -> None:
    approval = ask(anna, product)
    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        Approval.objects.filter(pk=approval.pk).update(parameters={**approval.parameters, "unit_price": "0.01"})


def test_an_edit_that_passed_the_trigger_makes_the_request_void(product: Product, anna: User, ben: User) -> None:
    approval = ask(anna, product)
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("UPDATE orders_approval SET parameters = jsonb_set(parameters, '{unit_price}', '\"0.01\"')")
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")

    with pytest.raises(WrongState, match="was changed since"):
        approve(approval, ben)
    approval.refresh_from_db()
    assert (approval.status, price(product)) == (ApprovalStatus.VOID, 10)


def test_a_request_in_view_of_an_old_price_is_void(product: Product, anna: User, ben: User) -> None:
    approval = ask(anna, product)
    Product.objects.update(unit_price="30.00")

    with pytest.raises(WrongState, match=r"The price is 30\.0000 by now"):
        approve(approval, ben)
    approval.refresh_from_db()
    assert (approval.status, price(product)) == (ApprovalStatus.VOID, 30)


@pytest.mark.parametrize("loss", ["permission", "account"])
def test_whoever_left_since_has_asked_for_nothing(product: Product, anna: User, ben: User, loss: str) -> None:
    approval = ask(anna, product)
    if loss == "permission":
        anna.user_permissions.remove(Permission.objects.get(codename="change_product"))
    else:
        User.objects.filter(pk=anna.pk).update(is_active=False)

    with pytest.raises(NotPermitted, match="anna does not have the permission"):
        approve(approval, ben)
    approval.refresh_from_db()
    assert (approval.status, price(product)) == (ApprovalStatus.WAITING, 10)


def test_whoever_left_between_approval_and_execution_has_agreed_to_nothing(
    product: Product, anna: User, ben: User
) -> None:
    """A command that is carried out later, by a workflow, is confirmed then."""
    approval = approve(ask(anna, product), ben)
    assert approvals.confirm(approval).name == "anna"
    ben.user_permissions.clear()

    with pytest.raises(NotPermitted, match="ben does not have the permission"):
        approvals.confirm(approval)


def test_one_person_alone_has_agreed_to_nothing(product: Product, anna: User) -> None:
    approval = ask(anna, product)
    for decided_by in (None, anna):
        approval.decided_by = decided_by
        with pytest.raises(NotPermitted, match="Two people must agree"):
            approvals.confirm(approval)


def test_the_second_person_needs_the_permission_of_the_command_too(product: Product, anna: User) -> None:
    approval = ask(anna, product)
    carl = make_user("orders.decide_approval", "orders.view_approval", name="carl")

    for decide in (deciding.approve, deciding.decline):
        with pytest.raises(NotPermitted, match=r"orders\.change_product"):
            decide(approval.pk, actor=person(carl, Channel.API), reason="No")
    client = token_client(user=carl)
    assert client.get("/api/approvals/").json() == []
    assert_problem(answer(client, approval, "approve"), 404)


def test_the_second_person_needs_the_permission_to_decide(product: Product, anna: User) -> None:
    approval = ask(anna, product)
    dora = person(make_user("orders.change_product", "orders.view_approval", name="dora"), Channel.API)

    for decide in (deciding.approve, deciding.decline):
        with pytest.raises(NotPermitted, match=r"orders\.decide_approval"):
            decide(approval.pk, actor=dora, reason="No")
    approval.refresh_from_db()
    assert (approval.status, price(product)) == (ApprovalStatus.WAITING, 10)


def test_nobody_asks_a_second_person_for_what_they_may_not_do_themselves() -> None:
    eve = person(make_user("orders.decide_approval", name="eve"), Channel.API)
    with pytest.raises(NotPermitted, match=r"orders\.change_product"):
        approvals.ask("change_product", subject="X", says="A lamp costs 1.", parameters={}, reason="", actor=eve)
    assert not Approval.objects.exists()


def test_a_second_decision_is_a_conflict_that_names_the_first(product: Product, anna: User, ben: User) -> None:
    approval = ask(anna, product)
    client = token_client(user=ben)
    assert [one["id"] for one in client.get("/api/approvals/").json()] == [str(approval.pk)]

    first = client.post(
        f"/api/approvals/{approval.pk}/decline/", {"reason": "Too dear"}, content_type="application/json"
    )
    assert (first.status_code, first.json()["decided_by"]) == (200, "ben")
    second = answer(token_client(user=lead("cleo")), approval, "approve")
    assert_problem(second, 409, None, "declined already by ben", "UTC", "Too dear")
    assert price(product) == 10


def test_a_request_expires_and_may_be_made_again(product: Product, anna: User, ben: User) -> None:
    approval = ask(anna, product)
    with pytest.raises(WrongState, match=r"waits for a second person since .* asked for by anna"):
        ask(ben, product)
    with time_machine.travel(timezone.now() + approvals.LIFE + timedelta(seconds=1), tick=False):
        with pytest.raises(WrongState, match="expired"):
            approve(approval, ben)
        ask(ben, product)
    approval.refresh_from_db()
    assert approval.status == ApprovalStatus.EXPIRED


def test_declining_needs_a_reason_and_asking_a_person(product: Product, anna: User, ben: User) -> None:
    with pytest.raises(InvalidInput):
        deciding.decline(ask(anna, product).pk, actor=person(ben, Channel.API), reason=" ")
    with pytest.raises(NotPermitted):
        catalogue.change_product(
            "X", name="", unit_price=Decimal("1"), actor=person(make_user(name="eve"), Channel.API)
        )
    with pytest.raises(NotPermitted, match="second person"):
        catalogue.change_product(
            make_product().sku, name="", unit_price=Decimal("99"), actor=system("job", Channel.CLI)
        )


@pytest.mark.django_db(transaction=True)
def test_two_people_who_approve_at_once_do_it_once(product: Product, anna: User, ben: User) -> None:
    approval = ask(anna, product)
    cleo = lead("cleo")
    start, outcomes = threading.Barrier(2), []

    def press(user: User) -> None:
        try:
            start.wait(60)
            outcomes.append(approve(approval, user).status)
        except WrongState as refusal:
            outcomes.append(str(refusal)[:20])
        finally:
            connection.close()

    threads = [threading.Thread(target=press, args=(user,)) for user in (ben, cleo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(outcomes) == ["This is done already", "done"]
    assert price(product) == 99


def test_the_form_of_a_product_says_that_it_waits_and_the_queue_decides(
    client: Client, product: Product, anna: User, ben: User
) -> None:
    client.force_login(anna)
    page = f"/admin/orders/product/{product.pk}/change/"
    text = client.post(page, {"name": "Lamp", "unit_price": "99.00"}, follow=True).content.decode()
    assert "It waits for a second person" in text
    assert "was changed successfully" not in text
    assert client.post(page, {"name": "Lamp", "unit_price": "2000000"}).status_code == 200, "an error at the field"
    approval = Approval.objects.get()
    url = f"/orders/approvals/{approval.pk}/approve/"

    assert client.post(url).status_code == 403
    assert RefusedAction.objects.get(actor="anna").action == "decide_approval"
    assert price(product) == 10

    client.force_login(ben)
    assert approval.says in client.get("/admin/orders/approval/").content.decode()
    client.post(url)
    assert price(product) == 99
