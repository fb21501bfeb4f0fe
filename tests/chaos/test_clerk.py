"""What the clerk reads of an order whose payment waits."""

from types import SimpleNamespace
from typing import Any

import pytest

from backoffice.chaos import clerk
from backoffice.chaos.asking import Asker
from backoffice.chaos.clerk import Clerk
from backoffice.chaos.facts import Waited
from tests.chaos.test_desk import DOORS

UNDER_WAY = {"status": "awaiting_payment", "headline": "Charging", "coming": "", "you_can": "", "deadline_at": None}
WAITS = {**UNDER_WAY, "headline": "Waiting for the customer", "coming": "x", "you_can": "y", "deadline_at": "2026"}
OVER = {**UNDER_WAY, "status": "shipping"}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clerk, "LOOK", 0.0)
    monkeypatch.setattr(clerk, "WHY_SECONDS", 0.2)


def read(*pages: dict[str, Any] | None) -> Waited | None:
    """What the clerk has read of a page that says one thing after the other, and the last one for ever."""

    class Pages(Asker):
        left = list(pages)

        def ask(self, method: str, url: str, **options: Any) -> Any:
            page = self.left.pop(0) if len(self.left) > 1 else self.left[0]
            return page and SimpleNamespace(status_code=200, json=lambda: page)

    return Clerk(asker=Pages(doors=DOORS))._read_why("SO-1")


def test_a_page_that_does_not_say_it_yet_is_read_again() -> None:
    assert read(UNDER_WAY, None, UNDER_WAY, WAITS) == Waited(number="SO-1", says=True, until="2026")


def test_a_page_without_what_comes_next_says_nothing() -> None:
    assert read({**WAITS, "coming": ""}) == Waited(number="SO-1", says=False, until="2026")


def test_a_page_that_never_says_that_it_waits_is_found() -> None:
    assert read(UNDER_WAY) == Waited(number="SO-1", says=False, until="")


def test_a_wait_that_is_over_and_a_server_that_is_away_are_nobodys_fault() -> None:
    assert read(UNDER_WAY, OVER) is None
    assert read(UNDER_WAY, {**UNDER_WAY, "headline": "Being cancelled."}) is None
    assert read({**UNDER_WAY, "headline": "Holding after the current step. Waiting for the customer."}) is None
    assert read(None) is None


def test_a_playbook_whose_refund_could_not_be_foreseen_is_not_started() -> None:
    asked: list[str] = []

    class CutOff(Asker):
        def look(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
            return None

        def insist(self, what: str, path: str, **options: Any) -> Any:
            asked.append(path)

    Clerk(asker=CutOff(doors=DOORS))._run_playbook("SO-1")
    assert asked == []


def test_a_review_is_decided_by_somebody_who_did_not_place_the_order() -> None:
    headers: list[Any] = []

    class Office(Asker):
        def ask(self, method: str, url: str, **options: Any) -> Any:
            headers.append(options["headers"])
            return SimpleNamespace(status_code=202, json=lambda: {"id": "1"})

    clerk = Clerk(asker=Office(doors=DOORS))
    clerk._decide("SO-1", "approve")
    clerk._hold("SO-1", 0.0)
    assert [given.get("Authorization") for given in headers] == ["Token u", None, None]
