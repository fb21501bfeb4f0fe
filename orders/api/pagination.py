"""Pages by cursor: an order placed while someone reads never shifts rows onto two pages or off both.

DRF's cursor is a base64 text that the client may write itself; a position that is not of the column's type would
reach the database and come back as a 500.
"""

from __future__ import annotations

from typing import Any

from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from orders.api.problems import refuse_field

MAX_INTEGER = 2**63 - 1


class StrictCursor(CursorPagination):
    """Cursor pagination that names what is wrong with a page's parameters."""

    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    page_size_query_description = "Rows of a page: 50 unless given; more than 200 is taken as 200."
    cursor_query_description = "Where the page begins; take it from `next` or `previous`."
    parameters = frozenset({"cursor", "page_size"})

    def get_page_size(self, request: Request) -> int:
        given = request.query_params.get("page_size")
        if given is None:
            return self.page_size
        if not (given.isascii() and given.isdecimal() and len(given) <= 18 and int(given) > 0):
            raise refuse_field("page_size", "It must be a whole number of 1 or more; above 200 it is taken as 200.")
        return min(int(given), self.max_page_size)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except (NotFound, UnicodeError) as error:
            raise refuse_field("cursor", "This is not a cursor of ours.") from error
        if cursor is not None and cursor.position is not None and not self.is_position(str(cursor.position)):
            raise refuse_field("cursor", "This is not a cursor of ours.")
        return cursor

    def is_position(self, text: str) -> bool:
        """Whether `text` is a value of the column that the page is ordered by."""
        raise NotImplementedError

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        parameters: list[dict[str, Any]] = super().get_schema_operation_parameters(view)
        for parameter in parameters:
            if parameter["name"] == "page_size":
                parameter["schema"] |= {"minimum": 1, "default": self.page_size}
        return parameters

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "format": "uri", "nullable": True}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }


class ByMoment(StrictCursor):
    """Ordered by a time first."""

    def is_position(self, text: str) -> bool:
        try:
            moment = parse_datetime(text)
        except ValueError:
            return False
        return moment is not None and moment.tzinfo is not None


class NewestFirst(ByMoment):
    ordering = ("-created_at", "-id")


class ByDeadline(ByMoment):
    ordering = ("deadline_at", "id")


class InSequence(StrictCursor):
    """The events of one order as they happened."""

    ordering = ("sequence",)

    def is_position(self, text: str) -> bool:
        return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= 2**31 - 1
