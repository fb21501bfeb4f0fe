"""What a list was asked for: read in one place, stated above the list, or refused.

Django and Unfold leave a value that they cannot read out of the question, so that a list with a mistyped date shows
every row, and a batch made from it takes every row. Here a list with a mistake shows no row and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.contrib.admin import ListFilter
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.text import capfirst
from unfold.contrib.filters.admin import RangeDateFilter, RangeNumericListFilter, RelatedDropdownFilter
from unfold.views import ChangeList

SHOWN = 60
#: digits
LONGEST_PAGE = 9
NOT_A_CHOICE = "It is none of the choices of this filter."


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A part of the question that cannot be answered."""

    #: what the field is called on the page, or in the address when the page has no such field
    field: str
    value: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: “{self.value}” {self.message}" if self.value else f"{self.field}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Stated:
    """One filter that is set, in the words of its form."""

    title: str
    value: str

    def __str__(self) -> str:
        return f"{self.title}: {self.value}"


class StatedFilters(ChangeList):
    """A list that states its filters (`stated`) and shows nothing while one of them cannot be read (`mistakes`)."""

    queryset: QuerySet[Any]
    page_num: int
    mistakes: list[Mistake]
    stated: list[Stated]

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        """Only what the list's own forms and links send: Django would take any column and any comparison."""
        known = self._known()
        given: dict[str, Any] = super().get_filters_params(params)
        return {
            name: values for name, values in given.items() if name in known and not any("\x00" in one for one in values)
        }

    def get_filters(self, request: HttpRequest) -> Any:
        found = super().get_filters(request)
        self.mistakes, self.stated = self._unknown(request), []
        for spec in found[0]:
            mistakes, stated = self._judged(request, spec)
            self.mistakes += mistakes
            self.stated += stated
            if mistakes:
                # Its own code would skip the value, or fail at it.
                spec.queryset = _nothing
        return found

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset(request, exclude_parameters)
        term = self.query.strip()
        if term and not self.search_fields:
            self.mistakes.append(Mistake(field="Search", value=shown(term), message="This list cannot be searched."))
        elif term:
            self.stated.append(Stated(title="Search", value=shown(term)))
        return queryset.none() if self.mistakes else queryset

    def get_results(self, request: HttpRequest) -> None:
        page = request.GET.get(PAGE_VAR, "1")
        try:
            if not page.isdecimal() or len(page) > LONGEST_PAGE:
                raise IncorrectLookupParameters
            super().get_results(request)
            if self.page_num != 1 and not self.multi_page:
                raise IncorrectLookupParameters
        except IncorrectLookupParameters:
            # Django sends to the list without any filter.
            self.mistakes.append(Mistake(field="Page", value=shown(page), message="There is no such page."))
            self.queryset, self.page_num = self.queryset.none(), 1
            super().get_results(request)

    @property
    def words(self) -> str:
        """What the list shows, as a batch or an export that is made of it keeps it."""
        return "; ".join(map(str, self.stated)) or f"All {self.opts.verbose_name_plural}"

    def _known(self) -> frozenset[str]:
        linked = getattr(self.model_admin, "list_links", ())
        return frozenset([*linked, *(name for one in self.list_filter for name in parameters_of(one))])

    def _unknown(self, request: HttpRequest) -> list[Mistake]:
        known = self._known()
        mistakes = []
        for name, values in super().get_filters_params().items():
            if name not in known:
                mistakes.append(Mistake(field=shown(name), value="", message="This list has no such filter."))
            elif any("\x00" in one for one in values):
                mistakes.append(Mistake(field=shown(name), value="", message="It holds a character that is no text."))
            elif len(values) > 1:
                mistakes.append(Mistake(field=shown(name), value="", message="It stands in the address twice."))
        if "\x00" in request.GET.get(SEARCH_VAR, ""):
            mistakes.append(Mistake(field="Search", value="", message="It holds a character that is no text."))
        return mistakes

    def _judged(self, request: HttpRequest, spec: ListFilter) -> tuple[list[Mistake], list[Stated]]:
        form = cast(forms.Form, next(iter(spec.choices(self)))["form"])
        title = capfirst(str(spec.title))
        given = {name: str(form.data.get(name) or "") for name in form.fields}
        if not any(given.values()):
            return [], []
        if form.errors:
            return list(_mistakes(form, title, given)), []
        return [], [Stated(title=title, value=_value_words(form, spec))]


def parameters_of(list_filter: Any) -> tuple[str, ...]:
    """The names under which a filter's own form sends its values."""
    if not isinstance(list_filter, tuple):
        name, kind = list_filter.parameter_name, list_filter
    elif issubclass(list_filter[1], RangeDateFilter):
        name, kind = list_filter
    elif issubclass(list_filter[1], RelatedDropdownFilter):
        return (f"{list_filter[0]}__id__exact",)
    else:
        return (f"{list_filter[0]}__exact",)
    if issubclass(kind, (RangeDateFilter, RangeNumericListFilter)):
        return f"{name}_from", f"{name}_to"
    return (name,)


def shown(value: str) -> str:
    """A stranger's value, short enough to be quoted."""
    clean = value.replace("\x00", "")
    return clean if len(clean) <= SHOWN else f"{clean[:SHOWN]}…"


def _mistakes(form: forms.Form, title: str, given: Mapping[str, str]) -> Iterator[Mistake]:
    for name, errors in form.errors.items():
        message = NOT_A_CHOICE if isinstance(form.fields.get(name), forms.ChoiceField) else " ".join(map(str, errors))
        end = {"from": " from", "to": " to"}.get(name.rpartition("_")[2], "") if len(form.fields) > 1 else ""
        yield Mistake(field=f"{title}{end}", value=shown(given.get(name, "")), message=message)


def _value_words(form: forms.Form, spec: ListFilter) -> str:
    in_words = getattr(spec, "in_words", None)
    if in_words is not None:
        return str(in_words())
    (name,) = form.fields
    choices = {str(value): str(label) for value, label in form.fields[name].choices}  # type: ignore[attr-defined]
    return choices[form.cleaned_data[name]]


def _nothing(request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
    return queryset.none()
