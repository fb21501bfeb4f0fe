"""One office for all tests of this folder's modules: seeded once, served once, emptied at the end."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.cache import caches
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import DjangoDbBlocker
from pytest_django.live_server_helper import LiveServer

from tests.browser import addresses, markup, world
from tests.browser.looking import Eyes
from tests.e2e.engine import eventually

#: of a list; a page of fifty takes five times as long to look at and shows the same
ROWS = 10
#: the live server's; a worker has an account of its own
OTHER_SESSIONS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()"
)


@dataclass
class Office:
    url: str
    #: name of an address -> where it is looked at
    addresses: dict[str, list[str]]
    #: address -> the parts of its page, whoever looked
    seen: dict[str, set[markup.Part]] = field(default_factory=lambda: defaultdict(set))
    #: the parts of all pages that axe has read
    read: set[markup.Part] = field(default_factory=set)
    #: addresses that answer something else than a page
    no_pages: set[str] = field(default_factory=set)

    def client(self, name: str) -> Client:
        # The sidebar's counter is kept for some seconds, whoever asked.
        caches["process"].clear()
        client = Client(raise_request_exception=False)
        client.force_login(User.objects.get(username=name))
        return client

    def look_at(self, eyes: Eyes, address: str, parts: set[markup.Part]) -> list[str]:
        """Everything that is wrong with this page; axe, which takes longest, reads what it has not read yet."""
        wrong = eyes.look_at(address, read=not parts <= self.read)
        self.seen[address] |= parts
        self.read |= parts
        return wrong + eyes.press_enter()


@pytest.fixture(autouse=True)
def db() -> None:
    """Tells pytest-django that a database is wanted; its own fixture of the name would empty it after each test."""


@pytest.fixture(scope="module")
def office(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Office]:
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patched:
        for shown in admin.site._registry.values():
            patched.setattr(shown, "list_per_page", ROWS)
        server = LiveServer("localhost")
        try:
            where = addresses.made()
            world.fill()
            for name, pattern in addresses.patterns():
                if name not in where:
                    where[name] = addresses.standing(name, pattern)
            yield Office(url=server.url, addresses=where)
        finally:
            server.stop()
            eventually(_is_alone, seconds=30, what="the end of the live server's sessions")
            call_command("flush", verbosity=0, interactive=False, inhibit_post_migrate=False)


def _is_alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(OTHER_SESSIONS)
        return int(cursor.fetchone()[0]) == 0
