"""What came back of a completed order, in words; a part of the sentence of its page."""

from __future__ import annotations

from dataclasses import dataclass

from orders.amounts import counted, number


@dataclass(frozen=True, kw_only=True)
class Returned:
    """Facts about the returns of an order."""

    #: pieces that were shipped, that came back, and that are announced to come
    shipped: int
    came: int
    announced: int = 0
    #: whether a return was received and neither refunded nor closed
    unsettled: bool = False
    #: what is to be given back for that one, formatted; empty when nothing is left to give back
    due: str = ""
    #: why that has not happened: a second person is awaited, or said no
    due_why: str = ""

    @property
    def is_open(self) -> bool:
        return self.unsettled or self.announced > 0

    def headline(self, refunded: str) -> str:
        """`refunded` is all that went back to the customer, formatted."""
        if self.announced:
            coming = (
                f"{counted(self.announced, 'piece')} {'is' if self.announced == 1 else 'are'} announced to come back"
            )
            return f"{coming}, {self.pieces} came before." if self.came else f"{coming}."
        if self.unsettled and self.due:
            return f"{self.pieces} came back, {self.due} not refunded yet."
        if self.unsettled:
            return f"{self.pieces} came back, and nothing is left to refund."
        return f"{self.pieces} came back, {refunded or 'nothing'} refunded."

    @property
    def pieces(self) -> str:
        return f"{number(self.came)} of {counted(self.shipped, 'piece')}"

    @property
    def you_can(self) -> str:
        if self.announced:
            return "Say what came when it is here, or withdraw the return."
        if self.unsettled and self.due:
            return "Refund what came back, or close the return without a refund."
        return "Close the return." if self.unsettled else ""
