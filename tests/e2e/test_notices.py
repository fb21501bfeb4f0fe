"""Errors, sorted, on the real servers: the customer's mail is spoken over SMTP, and no order waits for it."""

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from orders.models import Notice, Order, StaffTask, SystemEvent
from orders.services import notices, placing
from orders.vocabulary import OrderStatus
from tests.e2e import engine
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_order, make_product
from tests.orders import mail_server
from tests.orders.mail_server import MailServer
from tests.orders.test_notices import give_address

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def mail(settings: Settings) -> Iterator[MailServer]:
    with mail_server.running(settings) as server:
        yield server


@pytest.fixture
def engine_with_mail(
    transactional_db: None, mail: MailServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Engine]:
    monkeypatch.setenv("EMAIL_HOST", settings.EMAIL_HOST)
    monkeypatch.setenv("EMAIL_PORT", str(settings.EMAIL_PORT))
    with engine.running() as running:
        yield running


def placed(**options: object) -> Order:
    """Started after the address is known: a worker that is quick would find nobody to write to."""
    order = give_address(make_order(**options))  # type: ignore[arg-type]
    placing.start(order.number, actor=TEST_ACTOR)
    return order


def ended(order: Order) -> bool:
    return Order.objects.filter(pk=order.pk, closed_at__isnull=False).exists()


def test_the_customer_hears_of_a_decline_and_staff_of_a_refusal(engine_with_mail: Engine, mail: MailServer) -> None:
    product = make_product(stock=100)
    engine_with_mail.faults({"partner": "carrier", "operation": "shipments.book", "mode": "decline"})
    declined, refused = (
        placed(product=product, payment_method="pm_card_chargeDeclined"),
        placed(product=product),
    )
    eventually(lambda: ended(declined) and ended(refused), what="the end of both orders")
    eventually(lambda: Notice.objects.get(order=declined).status == "sent", what="the sent notice")
    assert [declined.number in sent["Subject"] for sent in mail.mails] == [True]
    assert StaffTask.objects.get().order == refused
    assert not SystemEvent.objects.exists()

    mail.answers = ["550 no such user"]
    late = placed(product=product, payment_method="pm_card_chargeDeclined")
    eventually(lambda: ended(late), what="the end of the third order")
    eventually(lambda: Notice.objects.get(order=late).status == "failed", what="the failed notice")
    assert Order.objects.get(pk=late.pk).status == OrderStatus.FAILED
    notices.send_again(late.number, actor=TEST_ACTOR, reason="They told us a new address")
    eventually(lambda: Notice.objects.get(order=late).status == "sent", what="the notice that was sent again")
    assert len(mail.mails) == 2
