"""Every page of everybody is whole on a desktop and a phone, in a real browser (`looking.py` says what is asked)."""

from __future__ import annotations

from collections import defaultdict

import pytest
from django.test import Client

from orders.access import Role
from tests.browser import looking, markup, world
from tests.browser.conftest import Office
from tests.e2e.browser import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(900)]


def is_page(content: bytes) -> bool:
    return b"<!doctype html" in content[:2000].lower()


def answers(office: Office, client: Client) -> tuple[dict[str, int], dict[str, str]]:
    """What this person's GET of every address answers, and the pages among the answers."""
    statuses, pages = {}, {}
    for places in office.addresses.values():
        for address in places:
            if address.startswith(markup.NOT_ASKED) or address in office.no_pages:
                continue
            answer = client.get(address)
            assert answer.status_code < 500, f"{address} answered {answer.status_code}"
            statuses[address] = answer.status_code
            if answer.status_code == 200 and not answer.streaming and is_page(answer.content):
                pages[address] = answer.content.decode()
            elif answer.status_code not in {302, 403, 404}:
                # A part, a file or a command is none for anybody; a page may send one on and show itself to another.
                office.no_pages.add(address)
    return statuses, pages


def dead_links(client: Client, asked: dict[str, int], pages: dict[str, str]) -> dict[str, str]:
    """Links that lead nowhere; each address is asked once."""
    dead = {}
    for address, page in pages.items():
        for link in markup.links(page, address):
            if link not in asked:
                asked[link] = client.get(link).status_code
            if asked[link] >= 400:
                dead[link] = f"{asked[link]}, linked from {address}"
    return dead


@pytest.mark.parametrize("name", [world.SUPERUSER, *(role.value for role in Role)])
def test_every_page_is_whole_on_a_desktop_and_a_phone(office: Office, name: str) -> None:
    client = office.client(name)
    asked, pages = answers(office, client)
    wrong: dict[str, list[str]] = defaultdict(list)
    for link, what in dead_links(client, asked, pages).items():
        wrong[f"dead link {link}"].append(what)
    with looking.opened(office.url, client) as eyes:
        for address, page in pages.items():
            parts = markup.parts(page)
            # Whoever sees less of a page than was looked at already sees nothing new.
            if not parts <= office.seen[address]:
                for what in office.look_at(eyes, address, parts):
                    wrong[what].append(address)
    assert not wrong, report(wrong)


def test_the_sign_in_and_pages_that_refuse_are_whole(office: Office) -> None:
    wrong = {}
    with looking.opened(office.url, office.client("viewer")) as viewer:
        for address, status in {"/orders/": 404, "/orders/SO-1/": 404, "/admin/auth/user/add/": 403}.items():
            wrong[address] = viewer.look_at(address, status=status)
    with looking.opened(office.url) as nobody:
        for address, parts in pages_of_nobody(office).items():
            wrong[address] = office.look_at(nobody, address, parts)
    assert {address: found for address, found in wrong.items() if found} == {}


def pages_of_nobody(office: Office) -> dict[str, set[markup.Part]]:
    """What somebody finds below /accounts/ who is not signed in, behind the link of a letter too."""
    client, found = Client(raise_request_exception=False), {}
    places = [place for all_of_one in office.addresses.values() for place in all_of_one]
    for address in (place for place in places if place.startswith("/accounts/")):
        answer = client.get(address, follow=True)
        if answer.status_code == 200 and is_page(answer.content):
            found.setdefault(answer.request["PATH_INFO"], (address, markup.parts(answer.content.decode())))
    assert "/accounts/login/" in found
    return dict(found.values())


def report(wrong: dict[str, list[str]]) -> str:
    """Each fault once, the most frequent first, with the first pages that have it."""
    ordered = sorted(wrong.items(), key=lambda item: -len(item[1]))
    return "\n".join(f"{len(where)} x {what}\n    on {' '.join(where[:4])}" for what, where in ordered)
