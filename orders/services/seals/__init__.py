"""Seals over all histories: make one a day, export them, and compare what was exported with what there is now."""

from orders.services.seals.exporting import export_lines
from orders.services.seals.making import Sealed, seal_history
from orders.services.seals.verifying import SealBreak, compare

__all__ = ["SealBreak", "Sealed", "compare", "export_lines", "seal_history"]
