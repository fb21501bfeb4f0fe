"""Stored files are encrypted with keys of their own, and are gone when their days are over."""

import base64
import re
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from backoffice.database_roles import Role
from orders import keyring
from orders.errors import WrongState
from orders.keyring import Unreadable
from orders.models import Export, ExportPart, FeedImport, FeedRow, FileKey, Order, OutboxMessage
from orders.services import exports, feeds
from orders.services.exports import making
from orders.services.feeds import keeping
from orders.vocabulary import CommandKind, ExportStatus, FeedStatus, Topic
from tests import rights
from tests.factories import TEST_ACTOR, make_order
from tests.orders import feed_files
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.attempts_exports import make_export, make_written
from tests.orders.staff import signed_in

pytestmark = pytest.mark.django_db
REFERENCE = "ZB-4711"
MAY = ("view_feedimport", "import_feed")


def bad_file(**options: Any) -> FeedImport:
    return feed_files.imported(feed_files.row("1", customer=REFERENCE, quantity="many"), **options)


def in_days(days: float) -> Any:
    return time_machine.travel(timezone.now() + timedelta(days=days, minutes=1))


def test_no_byte_of_a_file_stands_in_its_table_in_clear() -> None:
    export = make_written(order := make_order())
    feed = bad_file()
    stored = bytes(FeedImport.objects.values_list("content", flat=True).get())
    part = bytes(ExportPart.objects.values_list("content", flat=True).get() or b"")
    assert (REFERENCE.encode() in keeping.read(feed), REFERENCE.encode() in stored) == (True, False)
    assert order.number.encode() in b"".join(exports.download(export.pk, actor=TEST_ACTOR).pieces)
    assert order.number.encode() not in part


def test_without_its_key_nobody_reads_a_file() -> None:
    feed = bad_file()
    key = FeedImport.objects.get().key
    assert key is not None
    FeedImport.objects.update(key=None)
    key.delete()
    assert REFERENCE.encode() not in keeping.read(feed)


def test_a_block_that_was_moved_or_left_out_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyring, "BLOCK_BYTES", 100)
    monkeypatch.setattr(keyring, "SEALED_BLOCK_BYTES", 128)
    feed = feed_files.receive(content := feed_files.csv_of(*(feed_files.row(str(number)) for number in range(9))))
    sealed = bytes(FeedImport.objects.values_list("content", flat=True).get())
    assert (keeping.read(feed), len(sealed)) == (content, keyring.sealed_size(len(content)))
    for spoiled in (sealed[128:256] + sealed[:128] + sealed[256:], sealed[:-128], sealed[:128]):
        FeedImport.objects.update(content=spoiled)
        with pytest.raises(Unreadable, match="changed or moved"):
            keeping.read(feed)


def test_a_file_and_its_rows_are_deleted_when_their_days_are_over(settings: Settings) -> None:
    settings.FEED_FILES_KEPT_DAYS = 3
    old, under_way = bad_file(), feed_files.receive(feed_files.csv_of(feed_files.row("2")))
    with in_days(2):
        young = feed_files.imported(feed_files.row("3"))
        assert feeds.expire() == 0
    with in_days(3), rights.of(Role.WORKER):
        assert [feeds.expire(), feeds.expire()] == [1, 0]
    old.refresh_from_db()
    assert (old.file_gone_at is not None, old.key, old.documents.count()) == (True, None, 1)
    assert bytes(FeedImport.objects.values_list("content", flat=True).get(pk=old.pk)) == b""
    assert set(FeedRow.objects.values_list("feed", flat=True)) == {young.pk}
    assert set(FileKey.objects.values_list("pk", flat=True)) == {young.key_id, under_way.key_id}


def test_the_page_says_when_the_file_goes_and_that_it_is_gone() -> None:
    feed, client = bad_file(), signed_in(*(f"orders.{name}" for name in MAY))
    page = reverse("admin:orders_feedimport_change", args=[feed.pk])
    rejected = reverse("admin:orders_feedimport_rejected", args=[feed.pk])
    assert feed.file_until is not None
    before = client.get(page).content.decode()
    assert f"kept until {feed.file_until:%d %b %Y, %H:%M} UTC" in before
    assert rejected in before
    with in_days(30):
        feeds.expire()
    after = client.get(page).content.decode()
    assert "The file and its rows were deleted at" in after
    assert rejected not in after
    told = client.get(rejected, follow=True)
    assert "The file and its rows were deleted at" in told.content.decode()


def test_the_api_says_when_the_file_goes_and_answers_409_when_it_is_gone() -> None:
    feed, client = bad_file(), token_client(*MAY)
    assert client.get(f"/api/imports/{feed.pk}/").json()["file_until"]
    with in_days(30):
        feeds.expire()
    assert client.get(f"/api/imports/{feed.pk}/").json()["file_gone_at"]
    assert_problem(client.get(f"/api/imports/{feed.pk}/rejected/"), 409)


def test_an_import_that_nobody_decides_about_does_not_keep_its_file_for_ever(settings: Settings) -> None:
    settings.FEED_FILES_KEPT_DAYS = 3
    feed = feed_files.receive(feed_files.csv_of(feed_files.row("1")), dry_run=True)
    feed_files.run(feed)
    assert feed.status == FeedStatus.CHECKED
    with in_days(3), rights.of(Role.WORKER):
        assert feeds.expire() == 0
    feed.refresh_from_db()
    assert feed.status == FeedStatus.DISCARDED
    command = feed.commands.get(kind=CommandKind.IMPORT_CANCEL)
    assert (command.actor, command.reason) == ("round", "Nobody decided within 3 days.")
    assert OutboxMessage.objects.filter(topic=Topic.TELL_FEED_IMPORT).count() == 1
    with in_days(7):
        assert feeds.expire() == 1


@pytest.mark.parametrize("status", [ExportStatus.EXPIRED, ExportStatus.CANCELLED, ExportStatus.FAILED])
def test_the_key_of_an_export_is_destroyed_with_its_file(status: ExportStatus) -> None:
    export = make_written() if status is ExportStatus.EXPIRED else make_export()
    assert FileKey.objects.count() == 1
    with transaction.atomic(), rights.of(Role.WORKER):
        making.end(making.lock(export.pk), status)
    assert (FileKey.objects.count(), Export.objects.get().key) == (0, None)


def test_files_of_an_earlier_version_get_keys_and_an_end() -> None:
    feed, export = bad_file(), make_written(order := make_order())
    _in_clear(feed, export)
    migration = import_module("orders.migrations.0121_files_of_before")

    migration.encrypt(apps, None)
    migration.encrypt(apps, None)

    feed.refresh_from_db()
    assert (feed.key is not None, feed.file_until is not None) == (True, True)
    assert REFERENCE.encode() not in bytes(FeedImport.objects.values_list("content", flat=True).get())
    assert REFERENCE.encode() in keeping.read(feed)
    assert order.number.encode() not in bytes(ExportPart.objects.get().content or b"")
    assert order.number.encode() in b"".join(exports.download(export.pk, actor=TEST_ACTOR).pieces)


def _in_clear(feed: FeedImport, export: Export) -> None:
    """As a version that did not encrypt has stored them."""
    content = keeping.read(feed)
    part = ExportPart.objects.get()
    plain = making.content_of(export, part)
    part.delete()
    ExportPart.objects.create(export=export, position=1, order_ids=part.order_ids, content=plain)
    Export.objects.update(key=None)
    FeedImport.objects.update(key=None, content=content, file_until=None)
    FileKey.objects.all().delete()


def test_an_import_that_an_earlier_version_left_under_way_goes_on() -> None:
    feed = feed_files.receive(content := feed_files.csv_of(feed_files.row("1")))
    FeedImport.objects.update(key=None, content=content)
    feed_files.run(feed)
    assert (feed.status, Order.objects.count()) == (FeedStatus.COMPLETED, 1)


def test_a_deleted_file_is_told_before_a_download_begins() -> None:
    feed = bad_file()
    with in_days(30):
        feeds.expire()
    feed.refresh_from_db()
    with pytest.raises(WrongState, match="were deleted at"):
        feeds.bad_rows_csv(feed)


def test_a_row_that_says_its_file_is_gone_holds_none() -> None:
    bad_file()
    with connection.cursor() as cursor, pytest.raises(Exception, match="feed_file_gone"):
        cursor.execute("UPDATE orders_feedimport SET file_gone_at = now()")


def test_a_key_is_wrapped_for_its_row_only() -> None:
    one, other = FileKey.saved(), FileKey.saved()
    FileKey.objects.filter(pk=one.pk).update(wrapped=bytes(other.wrapped))
    with pytest.raises(Unreadable):
        _ = FileKey.objects.get(pk=one.pk).secret
    assert not re.search(base64.b64encode(other.secret), base64.b64encode(bytes(other.wrapped)))
