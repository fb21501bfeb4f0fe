"""Dialogs of rows: what they are about, and how much their button moves. `unfold/helpers/dialog.html` draws both."""

from __future__ import annotations

from functools import cached_property
from typing import Generic, TypeVar
from uuid import UUID

from django.db.models import Model
from unfold.forms import BaseDialogForm

Row = TypeVar("Row", bound=Model)


class RowDialog(BaseDialogForm, Generic[Row]):
    """A dialog about one row; `model` is its class."""

    model: type[Row]

    @cached_property
    def row(self) -> Row | None:
        """None where the address names none."""
        try:
            return self.model._default_manager.filter(pk=UUID(str(self.object_id))).first()
        except ValueError:
            return None

    @property
    def says(self) -> str:
        """What the command is about, in a sentence."""
        return self.about(self.row) if self.row else ""

    @property
    def moves(self) -> str:
        """The money or the orders that it moves, for the button."""
        return self.amount(self.row) if self.row else ""

    def about(self, row: Row) -> str:
        return ""

    def amount(self, row: Row) -> str:
        return ""
