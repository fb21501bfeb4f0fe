"""What a customer can act on reaches them by mail, once; a mail server that is away changes no order."""

import json
from collections.abc import Iterator

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from orders.actor import person
from orders.errors import NotPermitted, PartnerUnavailable, WrongState
from orders.models import Command, Customer, Notice, Order, OutboxMessage
from orders.models.customer import Personal
from orders.selectors import offers
from orders.services import erasing, notices
from orders.vocabulary import Channel, EventType, NoticeStatus, OrderStatus, Topic
from tests.factories import TEST_ACTOR, make_order
from tests.orders import driving, mail_server
from tests.orders.api_calls import assert_problem, new_key, token_client
from tests.orders.mail_server import MailServer
from tests.orders.staff import make_user

pytestmark = pytest.mark.django_db
ADDRESS = "ada.canary@example.com"


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server.running(settings) as running:
        yield running


def give_address(order: Order, address: str = ADDRESS) -> Order:
    customer = Customer.objects.select_related("key").get(pk=order.customer_id)
    assert customer.key is not None
    customer.personal = customer.key.encrypt(Personal(name="Ada Buyer", email=address))
    customer.save(update_fields=["personal"])
    return Order.objects.get(pk=order.pk)


def declined(address: str = ADDRESS, **options: object) -> Order:
    return driving.drive(give_address(make_order(**options), address), gateway=driving.decline())  # type: ignore[arg-type]


def notice_of(order: Order) -> Notice:
    return Notice.objects.get(order=order)


def send(notice: Notice, tries: int = 1) -> NoticeStatus:
    return notices.send(str(notice.pk), tries=tries, actor=TEST_ACTOR)


def test_a_declined_order_is_told_to_its_customer_by_smtp(server: MailServer) -> None:
    order = declined()
    notice = notice_of(order)
    message = OutboxMessage.objects.get(topic=Topic.SEND_NOTICE)
    assert (notice.status, message.body) == (NoticeStatus.QUEUED, {"notice_id": str(notice.pk), "tries": 1})

    assert send(notice) is NoticeStatus.SENT

    (mail,) = server.mails
    assert server.recipients == [ADDRESS]
    assert mail["Message-ID"] == f"<notice.{notice.pk}@shop.example>"
    assert mail["From"] == "Shop <orders@shop.example>"
    text = mail.get_content()
    assert order.number in mail["Subject"]
    assert "Hello Ada Buyer" in text
    assert "declined the payment" in text
    assert "You were not charged" in text
    assert order.events.filter(type=EventType.NOTICE_SENT).count() == 1


def test_what_was_taken_and_given_back_is_in_the_mail(server: MailServer) -> None:
    order = give_address(make_order())
    driving.drive(order, carrier=driving.refuse_address())
    send(notice_of(order))
    assert "We gave £20.00 back" in server.mails[0].get_content()


def test_sending_again_after_it_was_sent_sends_nothing(server: MailServer) -> None:
    notice = notice_of(declined())
    send(notice)
    assert send(notice) is NoticeStatus.SENT
    assert len(server.mails) == 1


def test_an_attempt_that_died_before_the_mark_is_made_again_under_the_same_message_id(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice, end = notice_of(declined()), notices._end

    def die(*_: object, **__: object) -> NoticeStatus:
        raise KeyboardInterrupt

    monkeypatch.setattr(notices, "_end", die)
    with pytest.raises(KeyboardInterrupt):
        send(notice)
    monkeypatch.setattr(notices, "_end", end)
    send(notice)
    assert len({mail["Message-ID"] for mail in server.mails}) == 1


def test_a_server_that_is_away_leaves_the_order_as_it_is_and_the_notice_to_be_sent_again(
    settings: Settings, client: Client
) -> None:
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mail_server.free_port()
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    order = declined()
    notice, closed = notice_of(order), order.closed_at
    with pytest.raises(PartnerUnavailable, match="ConnectionRefusedError"):
        send(notice)

    assert notices.give_up(str(notice.pk), tries=1, actor=TEST_ACTOR) is NoticeStatus.FAILED

    notice.refresh_from_db()
    order.refresh_from_db()
    assert (notice.note, notice.attempts) == ("The mail server did not take it: ConnectionRefusedError.", 1)
    assert (order.status, order.closed_at) == (OrderStatus.FAILED, closed)
    client.force_login(make_user("orders.view_order", "orders.send_notice", name="anna"))
    page = client.get(f"/orders/{order.number}/").content.decode()
    assert "ConnectionRefusedError" in page
    assert "Send the mail again" in page
    with mail_server.running(settings) as server:
        client.post(f"/orders/{order.number}/notice/send/", {"reason": "The server is back"})
        assert send(notice) is NoticeStatus.FAILED, "the first asking is over"
        assert send(notice, tries=2) is NoticeStatus.SENT
        assert len(server.mails) == 1
    assert Command.objects.filter(order=order, kind="notice_send").count() == 1
    assert "Send the mail again" not in client.get(f"/orders/{order.number}/").content.decode()


def test_a_refusal_for_good_is_not_retried_and_does_not_repeat_the_address(server: MailServer) -> None:
    notice = notice_of(declined())
    server.answers = [f"550 <{ADDRESS}>: no such user"]

    assert send(notice) is NoticeStatus.FAILED

    notice.refresh_from_db()
    assert notice.note == "The mail server answered 550 (SMTPRecipientsRefused)."


def test_a_server_that_is_busy_is_tried_again(server: MailServer) -> None:
    notice = notice_of(declined())
    server.answers = ["451 try later"]
    with pytest.raises(PartnerUnavailable, match="451"):
        send(notice)
    assert send(notice) is NoticeStatus.SENT


def test_an_address_with_a_line_break_sends_nothing_elsewhere(server: MailServer) -> None:
    notice = notice_of(declined(f"{ADDRESS}\nBcc: eve@example.com"))
    assert send(notice) is NoticeStatus.FAILED
    assert server.mails == []


def test_who_cannot_be_told_is_not_and_the_row_says_why(server: MailServer) -> None:
    guest = driving.drive(make_order(guest=True), gateway=driving.decline())
    reader = make_user("orders.view_order", "orders.send_notice", name="anna")
    assert offers.offers(guest, offers.standing_commands(guest), reader.has_perm) == [], "nobody could ever be told"
    silent = driving.drive(make_order(), gateway=driving.decline())
    assert "guest" in notice_of(guest).note
    assert "gave no e-mail address" in notice_of(silent).note
    assert not OutboxMessage.objects.filter(topic=Topic.SEND_NOTICE).exists()


def test_a_customer_who_was_erased_meanwhile_gets_nothing(server: MailServer) -> None:
    order = declined()
    assert order.customer is not None
    erasing.erase_customer(order.customer.reference, actor=TEST_ACTOR, reason="Asked")

    assert send(notice_of(order)) is NoticeStatus.DROPPED

    assert server.mails == []
    with pytest.raises(WrongState, match="erased"):
        notices.send_again(order.number, actor=TEST_ACTOR, reason="Again")


def test_without_a_mail_server_the_row_says_so(settings: Settings) -> None:
    order = declined()
    assert (notice_of(order).status, notice_of(order).note) == (NoticeStatus.DROPPED, notices.NO_SERVER)
    with pytest.raises(WrongState, match="no mail server"):
        notices.send_again(order.number, actor=TEST_ACTOR, reason="Again")


def test_an_order_that_a_person_cancelled_is_not_told() -> None:
    order = driving.adopt(make_order())
    driving.undo(order, driving.FailureType.CANCELLED, "Cancelled by anna: asked")
    assert not Notice.objects.filter(order=order).exists()


def test_the_mail_holds_no_error_text_and_no_payment_token(server: MailServer) -> None:
    order = declined(payment_method="pm_secret_1")
    send(notice_of(order))
    sent = server.mails[0].as_string()
    assert "pm_secret_1" not in sent
    assert order.failure_message not in sent


def test_a_program_lists_notices_and_sends_one_again_once(settings: Settings) -> None:
    order = declined()
    client = token_client("view_notice", "send_notice", "view_order")
    (row,) = client.get(f"/api/orders/{order.number}/notices/").json()
    assert (row["status"], row["note"], row["order"]) == ("dropped", notices.NO_SERVER, order.number)
    assert ADDRESS not in json.dumps(row)
    address, key = f"/api/orders/{order.number}/notice/send/", new_key()

    def post(sent_key: str) -> object:
        return client.post(
            address, {"reason": "Back"}, content_type="application/json", headers={"Idempotency-Key": sent_key}
        )

    assert_problem(post(new_key()), 409, None, "no mail server")  # type: ignore[arg-type]
    with mail_server.running(settings):
        first = post(key)
        assert (first.status_code, first.json()["status"], first.json()["tries"]) == (202, "queued", 2)  # type: ignore[attr-defined]
        assert post(key).json() == first.json()  # type: ignore[attr-defined]
        assert_problem(post(new_key()), 409, None, "No notice")  # type: ignore[arg-type]
    assert client.get("/api/orders/SO-0/notices/").status_code == 404
    with pytest.raises(NotPermitted):
        notices.send_again(order.number, actor=person(make_user(name="eve"), Channel.API), reason="Me too")
