"""What all lists share: they are for reading, and they never count a million rows to draw fifty.

A change form that saves an order's status by hand would pass every service, history and fence; so there is none. The
default paginator runs `COUNT(*)` twice for each page: measured, 74 ms at a million rows against 2.7 ms estimated.
"""

from __future__ import annotations

from typing import Any, cast

import unfold.forms
from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import connection
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.fields import UnfoldAdminReadonlyField

from orders.admin.filtering import StatedFilters
from orders.amounts import duration, number
from orders.wording import Tone

#: a filtered list counts up to here and then says "more than 10,000"
COUNT_CAP = 10_000


class EstimatedPaginator(Paginator):
    """Counts without reading the table: the planner's estimate for all rows, a capped count for a filtered list."""

    @cached_property
    def count(self) -> int:
        if not self._is_filtered:
            estimate = estimated_rows(self._rows.model)
            if estimate > COUNT_CAP:
                return estimate
        return self._rows.order_by().values("pk")[: COUNT_CAP + 1].count()

    @property
    def _rows(self) -> QuerySet[Any]:
        return cast(QuerySet[Any], self.object_list)

    @property
    def _is_filtered(self) -> bool:
        return bool(self._rows.query.where.children)

    @property
    def count_words(self) -> str:
        """The count as far as it is known."""
        if self.count > COUNT_CAP:
            return f"More than {number(COUNT_CAP)}" if self._is_filtered else f"About {number(self.count)}"
        return number(self.count)


def estimated_rows(model: type[Model]) -> int:
    """What the planner believes; 0 for a table that was never analysed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples::bigint FROM pg_class WHERE oid = %s::regclass", [model._meta.db_table])
        return max(0, int(cursor.fetchone()[0]))


class QuietChangeList(StatedFilters):
    """Unfold compares the count with a full count that we never take; an unfiltered list shows all there is."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not self.get_filters_params() and not self.query:
            self.full_result_count = self.result_count


class PermittedField(UnfoldAdminReadonlyField):
    """The name of a related row, which is a link only for whoever may open that row's page."""

    def get_admin_url(self, remote_field: Any, remote_obj: Model) -> str:
        request = getattr(self.form, "request", None)
        there = self.model_admin.admin_site._registry.get(remote_field.model)
        if request is not None and there is not None and not there.has_view_or_change_permission(request):
            return str(remote_obj)
        return str(super().get_admin_url(remote_field, remote_obj))


# Unfold's lines of a form name the class of their fields nowhere else.
unfold.forms.UnfoldAdminReadonlyField = PermittedField


class HonestActions(ModelAdmin):
    """A forged action gets a 403. Django only leaves a forbidden one out of the menu and ignores its POST.

    A list whose filter cannot be read is a 400 that shows no row, and no action is taken from it.
    """

    list_before_template = "admin/orders/filtered.html"
    #: our filters are bounded by an index each; counting what every choice of theirs would show is not
    show_facets = ShowFacets.NEVER
    #: parameters that links to this list send besides its filters
    list_links: tuple[str, ...] = ()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return QuietChangeList

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """A choice of other rows has no windows of its own to make, change and delete them: their pages do that."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(getattr(field, "widget", None), RelatedFieldWidgetWrapper):
            field.widget = field.widget.widget
        return field

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        # Of a class that was made for this request.
        form.request = request
        return form

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        wanted = request.POST.get("action") if request.method == "POST" else None
        if wanted and wanted not in self.get_actions(request):
            known = {name for _, name, _ in self._get_base_actions()}  # type: ignore[attr-defined]
            if wanted in known:
                raise PermissionDenied(f"{request.user} may not do {wanted}.")
        if request.method == "POST" and self.get_changelist_instance(request).mistakes:
            messages.error(request, "Nothing was done: the list has a filter that cannot be read.")
            return HttpResponseRedirect(request.get_full_path())
        response = cast(HttpResponse, super().changelist_view(request, extra_context))
        changelist = (getattr(response, "context_data", None) or {}).get("cl")
        if changelist is not None and changelist.mistakes:
            response.status_code = 400
        return response


class ReadOnlyAdmin(HonestActions):
    """A list and a page to read; nothing is added, changed or deleted."""

    paginator = EstimatedPaginator
    show_full_result_count = False
    list_per_page = 50
    list_filter_submit = True
    list_fullwidth = True

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def badge(tone: Tone, word: str) -> SafeString:
    """A status as colour, sign and word."""
    return format_html(
        '<span class="bo-badge bo-tone-{}">'
        '<span class="material-symbols-outlined" aria-hidden="true">{}</span>{}</span>',
        tone,
        tone.sign,
        word,
    )


def ago(moment: Any, now: Any) -> SafeString:
    """How long ago, kept up to date by the page's script; the exact time as tooltip."""
    return format_html(
        '<span data-ago="{}" title="{}">{} ago</span>',
        moment.isoformat(),
        moment.strftime("%d %b %Y, %H:%M:%S UTC"),
        duration(now - moment),
    )
