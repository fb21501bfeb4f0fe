"""Taking a feed in: what is refused before anything is parsed, and what is written when it is not."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from orders.actor import person
from orders.errors import InvalidInput, NotPermitted
from orders.models import Command, FeedImport, OutboxMessage
from orders.services.feeds import keeping
from orders.vocabulary import Channel, CommandKind, FeedStatus, Topic
from tests.orders.feed_files import csv_of, receive, row

pytestmark = pytest.mark.django_db


def test_a_received_file_is_stored_with_its_command_and_its_message() -> None:
    content = csv_of(row("536365"))
    feed = receive(content, name="day.csv")
    stored = FeedImport.objects.get()
    assert (stored.status, keeping.read(stored), stored.size_bytes) == (FeedStatus.RECEIVED, content, len(content))
    command = Command.objects.get(kind=CommandKind.IMPORT_FEED)
    assert (command.actor, command.channel) == ("test", Channel.CLI)
    message = OutboxMessage.objects.get()
    assert (message.topic, message.aggregate) == (Topic.START_FEED_IMPORT, f"feed:{feed.id}")
    assert message.body == {"feed_id": str(feed.id), "command_id": str(command.id)}


def test_a_list_of_imports_does_not_load_the_files() -> None:
    receive(csv_of(row("536365")))
    assert "content" in FeedImport.objects.get().get_deferred_fields()


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "cannot be unpacked: File is not a zip file"),
        (b"\x1f\x8brest", "gzip"),
        (b"%PDF-1.4", "PDF"),
        ("InvoiceNo\n1\n".encode("utf-16"), "UTF-16"),
        (b"InvoiceNo\n1\x00\n", "NUL byte at position 11"),
    ],
)
def test_content_that_is_not_plain_text_is_refused_by_what_it_is(content: bytes, named: str) -> None:
    with pytest.raises(InvalidInput, match=named) as caught:
        receive(content)
    assert caught.value.field == "file"
    assert not FeedImport.objects.exists()
    assert not OutboxMessage.objects.exists()


def test_a_file_that_is_too_large_is_refused_with_the_limit() -> None:
    with pytest.raises(InvalidInput, match="the limit is 20 bytes"):
        receive(csv_of(row("536365")), max_bytes=20)


def test_a_file_of_too_many_rows_is_refused_with_the_limit() -> None:
    rows = [row("536365")] * 3
    assert receive(csv_of(*rows), max_rows=3)
    assert receive(csv_of(*rows).rstrip(), max_rows=3)
    with pytest.raises(InvalidInput, match="has 4 rows; the limit is 3 rows"):
        receive(csv_of(*rows, row("536366")), max_rows=3)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"layout": "elsewhere"}, "layout"),
        ({"initial_stock": -1}, "initial_stock"),
        ({"initial_stock": 2**63}, "initial_stock"),
    ],
)
def test_an_option_out_of_range_is_refused_by_name(options: dict, field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        receive(csv_of(row("536365")), **options)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("held", "options", "lacking"),
    [
        ([], {}, "orders.import_feed"),
        (["import_feed"], {"process": True, "create_products": False}, "orders.start_order"),
        (["import_feed"], {"create_products": True}, "orders.add_product"),
    ],
)
def test_a_person_needs_the_permission_for_what_the_import_will_do(
    held: list[str], options: dict, lacking: str
) -> None:
    user = get_user_model().objects.create_user("ada")
    user.user_permissions.set(Permission.objects.filter(codename__in=held))
    with pytest.raises(NotPermitted, match=lacking):
        receive(csv_of(row("536365")), actor=person(user, Channel.ADMIN), **options)
    assert not FeedImport.objects.exists()
