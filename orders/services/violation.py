"""What a look from outside found: a rule that does not hold, and where."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Violation:
    #: short name of the rule, for example "ledger"
    invariant: str
    #: an order number, a SKU or another name that staff can look up
    subject: str
    detail: str
