import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from orders.models import FeedImport
from orders.services import feeds
from orders.vocabulary import FeedStatus
from tests.factories import TEST_ACTOR
from tests.orders.staff import START_ORDER, signed_in

pytestmark = pytest.mark.django_db
IMPORT = "/admin/orders/feedimport/import/"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
GOOD = "536365,85123A,LANTERN,6,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
BAD = "536366,85123A,LANTERN,many,2010-12-01 08:26:00,2.55,17850,United Kingdom\n"
MAY = ("orders.view_feedimport", "orders.import_feed", "orders.add_product")


def send(client: Client, content: str | bytes, **form: str) -> object:
    upload = SimpleUploadedFile("monday.csv", content.encode() if isinstance(content, str) else content)
    return client.post(IMPORT, {"file": upload, "layout": "online-retail", "initial_stock": "10", **form})


def run(feed: FeedImport) -> None:
    """The three phases, as the engine calls them."""
    feeds.validate(feed.pk, beat=lambda cursor: None)
    feeds.transform(feed.pk, beat=lambda cursor: None)
    feeds.store(feed.pk, actor=TEST_ACTOR, beat=lambda cursor: None)


def test_upload_becomes_an_import_and_its_page_shows_the_figures() -> None:
    client = signed_in(*MAY)

    response = send(client, HEADER + GOOD + BAD, create_products="on")

    feed = FeedImport.objects.get()
    page = reverse("admin:orders_feedimport_change", args=[feed.pk])
    assert response["Location"] == page  # type: ignore[index]
    assert (feed.name, feed.actor, feed.create_products, feed.initial_stock) == ("monday.csv", "olivia", True, 10)
    assert "every 2s" in client.get(page).content.decode()

    run(feed)

    text = client.get(page).content.decode()
    assert "a row cannot be read" in text
    assert "1, £15.30" in text
    rejected = client.get(reverse("admin:orders_feedimport_rejected", args=[feed.pk]))
    assert b"".join(rejected.streaming_content).count(b"536366") == 1  # type: ignore[arg-type]
    assert rejected["Content-Disposition"] == f'attachment; filename="rejected-{feed.pk}.csv"'


def test_finished_import_stops_polling() -> None:
    client = signed_in(*MAY)
    send(client, HEADER + GOOD)
    feed = FeedImport.objects.get()
    live = reverse("admin:orders_feedimport_live", args=[feed.pk])
    assert client.get(live).status_code == 200

    FeedImport.objects.update(status=FeedStatus.FAILED, failure_message="no header")

    answer = client.get(live)
    assert answer.status_code == 286
    assert "no header" in answer.content.decode()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "empty"), (b"PK\x03\x04rest", "zip"), (b"\xff\xfea\x00", "UTF-16"), (b"a\x00b", "NUL")],
)
def test_refused_file_is_explained_and_stores_nothing(content: bytes, says: str) -> None:
    response = send(signed_in(*MAY), content)

    assert response.status_code == 200  # type: ignore[attr-defined]
    assert says in response.content.decode()  # type: ignore[attr-defined]
    assert not FeedImport.objects.exists()


def test_limits_are_named(settings: Settings) -> None:
    settings.FEED_UPLOAD_MAX_ROWS = 1
    client = signed_in(*MAY)
    assert "limit is 1 rows" in send(client, HEADER + GOOD + GOOD).content.decode()  # type: ignore[attr-defined]

    settings.FEED_UPLOAD_MAX_BYTES = 10
    assert "the limit is 10" in send(client, HEADER + GOOD).content.decode()  # type: ignore[attr-defined]
    assert not FeedImport.objects.exists()


def test_import_needs_its_permission() -> None:
    client = signed_in("orders.view_feedimport")

    assert client.get(IMPORT).status_code == 403
    assert send(client, HEADER + GOOD).status_code == 403  # type: ignore[attr-defined]
    assert not FeedImport.objects.exists()
    assert "Import orders" not in client.get("/admin/orders/feedimport/").content.decode()
    assert "Import orders" in signed_in(*MAY, name="lead").get("/admin/orders/feedimport/").content.decode()


@pytest.mark.parametrize(("field", "permission"), [("process", START_ORDER), ("create_products", "orders.add_product")])
def test_a_forged_option_without_its_permission_stores_nothing(field: str, permission: str) -> None:
    client = signed_in("orders.view_feedimport", "orders.import_feed")

    assert f"You do not have the permission {permission}" in client.get(IMPORT).content.decode()
    assert send(client, HEADER + GOOD, **{field: "on"}).status_code == 403  # type: ignore[attr-defined]
    assert not FeedImport.objects.exists()


def test_pages_of_an_import_are_closed_to_strangers() -> None:
    send(signed_in(*MAY), HEADER + GOOD)
    feed = FeedImport.objects.get()
    stranger = signed_in(name="stranger")

    for name in ("change", "live", "rejected"):
        assert stranger.get(reverse(f"admin:orders_feedimport_{name}", args=[feed.pk])).status_code == 403
