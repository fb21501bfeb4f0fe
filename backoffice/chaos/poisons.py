"""The ways in which an order is refused for good, and what a client orders to meet each.

What is poisoned stands in what the client orders, so a trigger or a partner knows it without being told: a piece of a
SKU of its own, or a country that is none. The database refuses by a trigger, as a bug in a deploy or a constraint does
that nobody thought of; the partners refuse by their ordinary rules.
"""

from dataclasses import dataclass
from typing import Any

from orders.vocabulary import StepName

#: how many workflow tasks a worker of such a run holds at a time: runs are short, so their workers are small. With the
#: hundred of an ordinary worker only a hundred poisoned orders show that each keeps one
PLACES = 6
#: the country of no carrier, so that an order is undone
UNSERVED = "AQ"


@dataclass(frozen=True, kw_only=True)
class Poison:
    """One way in which an order is refused for good."""

    #: the step that is refused; none for the refund after the order
    step: StepName | None
    #: in pounds, for a piece of the SKU that carries it
    price: str
    country: str = "GB"
    #: the table and the moment at which the database refuses
    table: str = ""
    when: str = ""

    @property
    def by_database(self) -> bool:
        return bool(self.table)


def _step(step: StepName, *, country: str = "GB") -> Poison:
    when = f"NEW.name = '{step}' AND NEW.status = 'done'"
    return Poison(step=step, price="5.00", country=country, table="orders_step", when=when)


POISONS: dict[str, Poison] = {
    "reserve": _step(StepName.RESERVE),
    "charge": _step(StepName.CHARGE),
    "complete": _step(StepName.COMPLETE),
    "close": _step(StepName.CLOSE, country=UNSERVED),
    "refund": Poison(step=None, price="5.00", table="orders_refund", when="NEW.status = 'done'"),
    # Below the least that the gateway charges.
    "amount": Poison(step=StepName.CHARGE, price="0.10"),
    # Two characters and no country's code: the fraud partner calls the request wrong.
    "country": Poison(step=StepName.FRAUD, price="5.00", country="1G"),
}
#: less than the piece costs
REFUND_MINOR = 100


def sku(name: str) -> str:
    """What carries the poison of that name."""
    return f"POISON-{name.upper()}"


def lines(name: str) -> list[dict[str, Any]]:
    """What a client orders to be refused so."""
    return [{"sku": sku(name), "quantity": 1}]
