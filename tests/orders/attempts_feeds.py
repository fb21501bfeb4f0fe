"""Attempts of the access matrix that are about imports under way and the layouts of their files."""

from __future__ import annotations

from collections.abc import Callable

from orders.models import FeedImport
from orders.services import feeds
from orders.vocabulary import Channel, CommandKind
from tests.factories import TEST_ACTOR
from tests.orders.access_attempts import Attempt
from tests.orders.feed_files import csv_of, quiet, receive, row

LAYOUT = {
    "name": "wholesale",
    "column_reference": "Nr",
    "column_sku": "Item",
    "column_invoiced_at": "Date",
    "column_unit_price": "Price",
    "date_format": "dd.mm.yyyy",
    "decimal_comma": "on",
    "price_means": "unit_price",
    "default_quantity": "1",
    "default_country": "Germany",
    "currency": "EUR",
    "payment_method": "pm_card_visa",
    "credit_note_prefix": "G",
    "reason": "A new sender",
}


def _received() -> FeedImport:
    return receive(csv_of(row("1")))


def _paused() -> FeedImport:
    return feeds.tell(_received().pk, CommandKind.IMPORT_PAUSE, actor=TEST_ACTOR, reason="Lunch")


def _checked() -> FeedImport:
    feed = receive(csv_of(row("1")), dry_run=True, create_products=False)
    feeds.validate(feed.pk, beat=quiet)
    feeds.transform(feed.pk, beat=quiet)
    return feed


def _told(kind: CommandKind, verb: str, prepare: Callable[[], FeedImport]) -> tuple[Attempt, Attempt]:
    return (
        Attempt(
            command=kind,
            channel=Channel.ADMIN,
            door="admin:orders_feedimport_tell",
            prepare=prepare,
            do=lambda person, feed: person.post(
                "admin:orders_feedimport_tell", {"reason": "Why"}, str(feed.pk), kind.value
            ),
        ),
        Attempt(
            command=kind,
            channel=Channel.API,
            door=f"ImportCommands.{verb}",
            prepare=prepare,
            do=lambda person, feed: person.call(f"/api/imports/{feed.pk}/{verb}/", {"reason": "Why"}),
        ),
    )


ATTEMPTS: tuple[Attempt, ...] = (
    *_told(CommandKind.IMPORT_COMMIT, "commit", _checked),
    *_told(CommandKind.IMPORT_PAUSE, "pause", _received),
    *_told(CommandKind.IMPORT_RESUME, "resume", _paused),
    *_told(CommandKind.IMPORT_CANCEL, "cancel", _received),
    Attempt(
        command="add_feed_layout",
        channel=Channel.ADMIN,
        door="FeedLayoutAdmin.add",
        do=lambda person, _: person.post("admin:orders_feedlayout_add", LAYOUT),
    ),
)
