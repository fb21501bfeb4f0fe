"""Whatever waits for a second person stands on its subject, with whoever asked, and before whoever may decide."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group, User
from django.core.cache import caches
from django.test import Client
from pytest_django.fixtures import Settings

from orders.access import RULES
from orders.actor import Actor, person
from orders.models import Approval, PartnerEndpoint
from orders.selectors.approval_kinds import KINDS
from orders.services import catalogue, deciding, fraud_rules, refunding, returning, role_giving
from orders.services.fraud import current_rules
from orders.services.playbooks import naming, publishing, setting
from orders.vocabulary import Channel, EventType
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import driving, playbooks
from tests.orders.api_calls import new_key, token_client
from tests.orders.staff import make_user
from tests.orders.test_automation_makers import CALL, OTHER_URL, URL
from tests.orders.test_automation_makers import REFUND as REFUND_STEP

pytestmark = pytest.mark.django_db
REASON = "She sent a photo"
SEEN = ("order", "product", "playbookversion", "partnerendpoint", "fraudrules")
SIGHT = (*(f"orders.view_{name}" for name in SEEN), "auth.view_user", "auth.view_group")


def refund(actor: Actor) -> object:
    order = driving.drive(make_order())
    return refunding.request(order.number, amount_minor=900, actor=actor, reason=REASON)


def refund_of_return(actor: Actor) -> object:
    order = driving.drive(make_order())
    lines = [returning.Announced(position=1, quantity=1)]
    case = returning.announce(order.number, lines=lines, actor=TEST_ACTOR, reason="Too big")
    returning.receive(case.pk, lines=[returning.Received(position=1, received=1)], actor=TEST_ACTOR, reason="Came")
    return returning.refund(case.pk, amount_minor=1_000, actor=actor, reason=REASON)


def price(actor: Actor) -> object:
    sku = make_product(unit_price="10.00").sku
    return catalogue.change_product(sku, name="Lantern", unit_price=Decimal("99"), actor=actor, reason=REASON)


def publication(actor: Actor) -> object:
    version = publishing.save("greet", playbooks.document(playbooks.note("hello")), actor=playbooks.chief())
    return publishing.publish("greet", version.number, actor=actor, reason=REASON)


def start(actor: Actor) -> object:
    playbooks.published(REFUND_STEP, slug="thank")
    return setting.set_trigger("thank", EventType.HELD, condition="order.is_guest", actor=actor)


def new_endpoint(actor: Actor) -> object:
    playbooks.published(CALL, REFUND_STEP, slug="thank")
    return naming.name_endpoint("warehouse", url=URL, enabled=True, is_new=True, actor=actor)


def other_endpoint(actor: Actor) -> object:
    PartnerEndpoint.objects.create(name="warehouse", url=OTHER_URL, made_by="chief")
    playbooks.published(CALL, REFUND_STEP, slug="thank")
    return naming.name_endpoint("warehouse", url=URL, enabled=True, is_new=False, actor=actor)


def rules(actor: Actor) -> object:
    now = current_rules()
    values = {name: getattr(now, name) for name in fraud_rules.FIELDS}
    return fraud_rules.change({**values, "guest_points": 0}, actor=actor, reason=REASON)


def role(actor: Actor) -> object:
    make_user(name="erin")
    Group.objects.create(name="helpers")
    return role_giving.change_account("erin", {"groups": ["helpers"]}, actor=boss(actor), reason=REASON)


def permission(actor: Actor) -> object:
    Group.objects.create(name="helpers")
    return role_giving.change_group("helpers", ["orders.hold_order"], actor=boss(actor), reason=REASON)


def boss(actor: Actor) -> Actor:
    """Only superusers give roles."""
    User.objects.filter(username=actor.name).update(is_superuser=True)
    return person(User.objects.get(username=actor.name), actor.channel)


#: command -> asks for it
ASK: dict[str, Callable[[Actor], object]] = {
    "refund": refund,
    "return_refund": refund_of_return,
    "change_product": price,
    "publish_playbook": publication,
    "set_trigger": start,
    "add_endpoint": new_endpoint,
    "change_endpoint": other_endpoint,
    "add_fraud_rules": rules,
    "change_user": role,
    "change_group": permission,
}
#: command -> what its page must say and its button do
FACTS = {
    "refund": (("£20.00", "£9.00", "Refunded so far"), "Approve: refund £9.00"),
    "return_refund": (("£20.00", "£10.00", "1 of SKU-"), "Approve: refund £10.00"),
    "change_product": (("£10.00", "£99.00", "990 % of the old price"), "Approve: set the price to £99.00"),
    "publish_playbook": (("Step hello", "noted", "none is published"), "Approve: publish version 1"),
    "set_trigger": (("At order.held", "order.is_guest", "condition"), "Approve: let thank start by itself"),
    "add_endpoint": (("the name is new", URL), f"Approve: let warehouse be {URL}"),
    "change_endpoint": ((OTHER_URL, URL), f"Approve: let warehouse be {URL}"),
    "change_user": (("Account erin", "helpers", "Roles now"), "Approve: let it be so for erin"),
    "change_group": (("Members", "orders.hold_order"), "Approve: give them to helpers"),
    "add_fraud_rules": (("instead of version", "guest points"), "Approve: change the fraud rules"),
}
every_kind = pytest.mark.parametrize("command", sorted(deciding.WORK))


@pytest.fixture(autouse=True)
def limit(settings: Settings) -> None:
    settings.REFUND_SECOND_PERSON_OVER_MINOR = 800
    caches["process"].clear()


def asker(command: str) -> User:
    return make_user(RULES[command].permission, "orders.note_order", name="anna")


def approver(command: str) -> User:
    needed = (RULES[command].second_needs, "orders.note_order", "orders.decide_approval", "orders.view_approval")
    return make_user(*needed, *SIGHT, name="ben")


def ask(command: str, user: User) -> Approval:
    asked = ASK[command](person(user, Channel.ADMIN))
    assert isinstance(asked, Approval)
    assert asked.command == command
    return asked


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def text(client: Client, address: str, status: int = 200) -> str:
    answer = client.get(address)
    assert answer.status_code == status, address
    return " ".join(answer.content.decode().split())


def page_of(approval: Approval) -> str:
    return f"/orders/approvals/{approval.pk}/"


def test_every_command_that_takes_two_people_is_described_and_tried_here() -> None:
    assert set(KINDS) == set(deciding.WORK) == set(ASK) == set(FACTS)


@every_kind
def test_it_stands_on_its_subject_for_whoever_opens_that(command: str) -> None:
    approval = ask(command, asker(command))
    reader = browser(make_user(*SIGHT, name="viewer"))
    address = KINDS[command].subject(approval)[1]
    banner = f"<b>Waits for a second person:</b> {approval.says} Asked for by anna on "

    shown = text(reader, address)

    assert banner in shown
    assert f"{approval.requested_at:%H:%M:%S} UTC: {approval.reason}" in shown
    assert "Open the request" not in shown, "whoever may not decide is not led to a dead end"
    assert "Open the request" in text(browser(approver(command)), address)
    deciding.decline(approval.pk, actor=playbooks.chief("third"), reason="No")
    assert banner not in text(reader, address)


@every_kind
def test_whoever_may_decide_is_led_from_today_to_facts_and_both_answers(command: str) -> None:
    approval = ask(command, asker(command))
    client = browser(approver(command))
    facts, button = FACTS[command]

    assert f'href="{page_of(approval)}">{approval.says}' in text(client, "/admin/")
    shown = text(client, page_of(approval))

    for words in (*facts, f"Asked for by anna: {approval.reason}", KINDS[command].subject(approval)[1]):
        assert words in shown
    forms = [form for form in re.findall(r"<form.*?</form>", shown) if f"{page_of(approval)}" in form]
    assert [form.count('type="submit"') for form in forms] == [1, 1]
    assert [form.count('name="reason"') for form in forms] == [1, 1]
    assert f"{button}</button>" in forms[0]
    assert "Decline</button>" in forms[1]
    assert approval.asked_digest not in shown
    said = client.post(f"{page_of(approval)}approve/", {"reason": "Saw it"}, follow=True).content.decode()
    assert f"Done: {approval.says}" in said
    assert "Done by ben: Saw it" in said
    assert page_of(approval) not in text(client, "/admin/")


@every_kind
def test_whoever_asked_follows_it_and_cannot_decide_it(command: str) -> None:
    user = asker(command)
    approval = ask(command, user)
    client = browser(user)

    assert 'href="/orders/approvals/"' in text(client, "/admin/")
    assert f'href="{page_of(approval)}">{approval.says}' in text(client, "/orders/approvals/")
    shown = text(client, page_of(approval))
    assert "another person must decide" in shown
    assert "Decline</button>" not in shown
    deciding.decline(approval.pk, actor=playbooks.chief("third"), reason="Not enough")
    assert "Declined by third" in text(client, "/orders/approvals/")
    program = token_client(user=user)
    assert program.get("/api/approvals/").json() == []
    (found,) = program.get("/api/approvals/?asked_by_me=true").json()
    assert (found["status"], found["decided_by"], found["decision"]) == ("declined", "third", "Not enough")
    assert program.get(f"/api/approvals/{approval.pk}/").json() == found


@every_kind
def test_a_colleague_without_sight_of_others_requests_is_told_of_none(command: str) -> None:
    approval = ask(command, asker(command))
    colleague = make_user(RULES[command].permission, name="carl")

    client = browser(colleague)

    assert approval.says not in text(client, "/orders/approvals/")
    assert approval.says not in text(client, page_of(approval), status=404)
    program = token_client(user=colleague)
    assert program.get("/api/approvals/").json() == []
    assert program.get(f"/api/approvals/{approval.pk}/").status_code == 404


def test_a_no_without_a_reason_keeps_the_page_and_decides_nothing() -> None:
    approval = ask("refund", asker("refund"))
    client = browser(approver("refund"))

    answer = client.post(f"{page_of(approval)}decline/", {"reason": " "})

    assert answer.status_code == 400
    assert 'id="decline_reason-problem"' in answer.content.decode()
    approval.refresh_from_db()
    assert approval.status == "waiting"


@pytest.mark.parametrize("command", ["refund", "return_refund"])
def test_the_order_is_marked_and_offers_no_second_refund_while_one_waits(command: str) -> None:
    user = asker(command)
    approval = ask(command, user)
    client = browser(approver(command))
    listed, page = "/admin/orders/order/", f"/orders/{approval.subject}/"

    assert text(client, listed).count("Waits for a second person") == 1
    assert 'href="' + page + 'refund/"' not in text(client, page)
    assert 'href="' + page + 'return/refund/"' not in text(client, page)
    (told,) = token_client(user=approver_of_orders()).get(f"/api{page}").json()["waits_for_second_person"]
    assert (told["id"], told["requested_by"], told["reason"]) == (str(approval.pk), "anna", REASON)

    deciding.decline(approval.pk, actor=playbooks.chief("third"), reason="No")

    assert "Waits for a second person" not in text(client, listed)
    assert 'href="' + page + 'refund/"' in text(client, page)


def approver_of_orders() -> User:
    return make_user("orders.view_order", name="program")


def test_a_version_that_waits_is_not_asked_for_again() -> None:
    approval = ask("publish_playbook", asker("publish_playbook"))
    client = browser(approver("publish_playbook"))

    assert "Ask to publish" not in text(client, "/orders/playbooks/greet/?version=1")
    deciding.decline(approval.pk, actor=playbooks.chief("third"), reason="No")
    assert "Ask to publish" in text(client, "/orders/playbooks/greet/?version=1")


def test_a_new_version_is_shown_beside_the_one_that_runs_follow() -> None:
    playbooks.published(playbooks.note("hello", "old words"), slug="greet")
    version = publishing.save(
        "greet", playbooks.document(playbooks.note("hello", "new words")), actor=playbooks.chief()
    )
    user = make_user("orders.publish_playbook", "orders.note_order", name="anna")
    approval = publishing.publish("greet", version.number, actor=person(user, Channel.ADMIN), reason=REASON)

    shown = text(browser(approver("publish_playbook")), page_of(approval))

    assert "old words" in shown
    assert "new words" in shown
    assert "Instead of" in shown
    assert "version 1" in shown


def test_a_published_version_is_not_said_to_stand_instead_of_itself() -> None:
    approval = ask("publish_playbook", asker("publish_playbook"))
    client = browser(approver("publish_playbook"))
    said = client.post(f"{page_of(approval)}approve/", {"reason": "Saw it"}, follow=True).content.decode()
    assert "Done by ben" in said
    assert "Instead of" not in said


def test_a_program_is_told_that_its_refund_waits_and_where_to_follow_it() -> None:
    order = driving.drive(make_order())
    body = {"amount_minor": 900, "reason": REASON}
    user = make_user("orders.refund_order", "orders.view_order", name="anna")

    answer = token_client(user=user).post(
        f"/api/orders/{order.number}/refunds/",
        body,
        content_type="application/json",
        headers={"Idempotency-Key": new_key()},
    )

    approval = Approval.objects.get()
    told = answer.json()
    assert (answer.status_code, told["status"], told["approval"]) == (202, "waiting_for_second", str(approval.pk))
    assert told["note"] == f"Waits for a second person: {approval.says}"
    assert answer.headers["Location"].endswith(f"/api/approvals/{approval.pk}/")
