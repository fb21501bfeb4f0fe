"""How the sweep walks the gateway's lists: each one again and again, at certain ages of its entries.

A payment, a refund or a dispute changes after it was made: a debit succeeds days later, a refund fails. So each list
is looked at when its entries are a few minutes old (`SWEEP_BOOKS_SETTLING_SECONDS`), and again after an hour, a day, a
week and a month. A look keeps its place as a range of time and the last entry that it saw of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from orders.errors import RequestRefused
from orders.partners.gateway_books import Listing, Page, page_of
from orders.services.books.ours import settling

#: a look at entries of that age waits until there is this much of time to look at
AGES: dict[str, tuple[timedelta | None, timedelta]] = {
    "new": (None, timedelta(seconds=1)),
    "hour": (timedelta(hours=1), timedelta(minutes=10)),
    "day": (timedelta(days=1), timedelta(minutes=10)),
    "week": (timedelta(days=7), timedelta(minutes=10)),
    "month": (timedelta(days=30), timedelta(minutes=10)),
}
#: how far back the very first look begins
BEGINS = timedelta(days=30)


@dataclass(kw_only=True)
class Walk:
    """One look's place in one list, in seconds of the gateway's clock; kept in `SweepProgress.places`."""

    listing: Listing
    look: str
    #: everything before this second was looked at
    reached: int
    #: the end of the range that is being read, and the last entry that was read of it; 0 and "" between two ranges
    until: int = 0
    after: str = ""

    @property
    def name(self) -> str:
        return f"{self.listing}.{self.look}"

    def is_due(self, now: datetime) -> bool:
        return bool(self.until) or self.behind(now) >= AGES[self.look][1]

    def behind(self, now: datetime) -> timedelta:
        """How much of the list this look has not seen although its entries are old enough."""
        return timedelta(seconds=max(0, _end(self.look, now) - self.reached))

    def step(self, now: datetime) -> Page:
        """The next page; its place is taken with it. Raises `PartnerUnavailable`, and then keeps its place."""
        self.until = self.until or _end(self.look, now)
        try:
            page = page_of(self.listing, _moment(self.reached), _moment(self.until), after=self.after)
        except RequestRefused:
            if not self.after:
                raise
            # It does not know the entry any more: the range is read from its beginning.
            self.until, self.after = 0, ""
            return Page()
        if page.goes_on_after:
            self.after = page.goes_on_after
        else:
            self.reached, self.until, self.after = self.until + 1, 0, ""
        return page

    def kept(self) -> dict[str, Any]:
        place = asdict(self)
        return {name: place[name] for name in ("reached", "until", "after")}


def walks(places: dict[str, Any], now: datetime) -> list[Walk]:
    """Every look at every list, at its place; those that have none yet begin."""
    return [_walk(places.get(f"{listing}.{look}"), listing, look, now) for look in AGES for listing in Listing]


def in_turn(all_walks: list[Walk], now: datetime) -> Iterator[Walk]:
    """The walks that have something to look at, one after the other, until none has."""
    while due := [walk for walk in all_walks if walk.is_due(now)]:
        yield from due


def _walk(place: Any, listing: Listing, look: str, now: datetime) -> Walk:
    if place is None:
        # The later looks have nothing to look at again yet.
        back = BEGINS if look == "new" else timedelta()
        return Walk(listing=listing, look=look, reached=_end(look, now - back))
    return Walk(listing=listing, look=look, **place)


def _end(look: str, now: datetime) -> int:
    """Up to where entries are old enough for the look."""
    age = AGES[look][0] or settling()
    return int((now - age).timestamp())


def _moment(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
