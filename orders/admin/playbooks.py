"""What playbooks leave behind, to read; and the endpoints that they may call, which a lead names.

Playbooks themselves have pages of their own (`orders.playbook_pages`); a change form here would save a version that
nobody judged.
"""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin
from django.db.models import BooleanField, Model, QuerySet, Value
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.widgets import UnfoldAdminTextInputWidget

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin, badge
from orders.admin.waiting import MayWaitAdmin
from orders.amounts import money
from orders.errors import InvalidInput, PartnerUnavailable
from orders.models import (
    Approval,
    AutomationChange,
    OrderTag,
    PartnerEndpoint,
    Playbook,
    PlaybookRun,
    PlaybookSchedule,
    PlaybookStepRun,
    PlaybookTrigger,
    PlaybookVersion,
    Voucher,
)
from orders.partners import endpoints
from orders.playbook_sentences import RUN_TONES, STEP_TONES, VERSION_TONES
from orders.services.playbooks import naming
from orders.vocabulary import Channel, PlaybookRunStatus, PlaybookStepStatus, VersionStatus
from orders.voucher_codes import masked
from orders.wording import status_word


@admin.register(Playbook)
class PlaybookAdmin(ReadOnlyAdmin):
    list_display = ("slug", "page", "created_at", "created_by")
    search_fields = ("slug__startswith",)
    ordering = ("slug",)

    @admin.display(description="Page")
    def page(self, playbook: Playbook) -> SafeString:
        return format_html('<a href="{}">Open</a>', reverse("orders:playbook", args=[playbook.slug]))


@admin.register(PlaybookVersion)
class PlaybookVersionAdmin(ReadOnlyAdmin):
    list_display = ("title", "playbook", "number", "state", "created_at", "created_by", "published_at")
    list_select_related = ("playbook", "created_by")
    list_filter = (("status", ChoicesDropdownFilter),)
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, version: PlaybookVersion) -> SafeString:
        return badge(VERSION_TONES[VersionStatus(version.status)], status_word(version.status))


@admin.register(PlaybookRun)
class PlaybookRunAdmin(ReadOnlyAdmin):
    list_display = ("page", "order_", "state", "trigger", "started_by", "created_at", "status_since", "message")
    list_display_links = None
    list_select_related = ("version__playbook", "order", "started_by")
    list_filter = (("status", ChoicesDropdownFilter), ("trigger", ChoicesDropdownFilter))
    search_fields = ("order__number__exact", "version__playbook__slug__exact")
    search_help_text = "Number of an order, or name of a playbook"
    ordering = ("-created_at",)
    sortable_by = ()

    @admin.display(description="Run")
    def page(self, run: PlaybookRun) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("orders:playbook-run", args=[run.pk]), run.version)

    @admin.display(description="Order")
    def order_(self, run: PlaybookRun) -> SafeString:
        return format_html('<a href="{}">{}</a>', reverse("orders:page", args=[run.order.number]), run.order.number)

    @admin.display(description="State")
    def state(self, run: PlaybookRun) -> SafeString:
        return badge(RUN_TONES[PlaybookRunStatus(run.status)], status_word(run.status))


@admin.register(PlaybookStepRun)
class PlaybookStepRunAdmin(ReadOnlyAdmin):
    list_display = ("step_id", "path", "run", "state", "failures", "started_at", "finished_at", "error")
    #: without parameters and result, which the run's page shows without the codes of vouchers
    fields = ("run", "path", "step_id", "type", "state", "failures", "error", "deadline_at", "decided_by")
    readonly_fields = fields
    list_select_related = ("run__version__playbook", "run__order")
    list_filter = (("status", ChoicesDropdownFilter),)
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="State")
    def state(self, step: PlaybookStepRun) -> SafeString:
        return badge(STEP_TONES[PlaybookStepStatus(step.status)], status_word(step.status))


@admin.register(PlaybookTrigger)
class PlaybookTriggerAdmin(ReadOnlyAdmin):
    list_display = ("playbook", "event", "condition", "enabled", "made_by", "last_fired_at", "last_problem")
    list_select_related = ("playbook",)
    ordering = ("playbook", "event")
    sortable_by = ()


@admin.register(PlaybookSchedule)
class PlaybookScheduleAdmin(ReadOnlyAdmin):
    list_display = ("playbook", "every_hours", "condition", "enabled", "next_at", "last_started", "last_problem")
    list_select_related = ("playbook",)
    ordering = ("playbook",)
    sortable_by = ()


@admin.register(AutomationChange)
class AutomationChangeAdmin(ReadOnlyAdmin):
    """Who changed what starts playbooks by themselves, or where they call, from what to what."""

    list_display = ("at", "kind", "subject", "before", "after", "actor", "second")
    list_select_related = ("approval__decided_by",)
    list_filter = (("kind", ChoicesDropdownFilter),)
    search_fields = ("subject__startswith",)
    search_help_text = "Playbook or endpoint"
    ordering = ("-id",)
    sortable_by = ()

    @admin.display(description="Approved by")
    def second(self, change: AutomationChange) -> str:
        return str(change.approval.decided_by) if change.approval else "-"


@admin.register(OrderTag)
class OrderTagAdmin(ReadOnlyAdmin):
    list_display = ("tag", "order", "made_by", "created_at")
    list_select_related = ("order",)
    search_fields = ("tag__exact", "order__number__exact")
    search_help_text = "Tag, or number of an order"
    ordering = ("-created_at",)
    sortable_by = ()


@admin.register(Voucher)
class VoucherAdmin(ReadOnlyAdmin):
    """Whoever may not issue vouchers sees that there is one, without the code that is as good as money."""

    list_display = ("shown_code", "amount", "order", "reason", "made_by", "created_at", "withdrawn_at")
    list_display_links = None
    list_select_related = ("order",)
    fields = ("shown_code", "amount", "order", "reason", "made_by", "created_at", "withdrawn_at")
    readonly_fields = fields
    search_fields = ("order__number__exact",)
    search_help_text = "Number of an order"
    ordering = ("-created_at",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Voucher]:
        whole = request.user.has_perm("orders.issue_voucher")  # type: ignore[union-attr]
        vouchers: QuerySet[Voucher] = super().get_queryset(request)
        return vouchers.annotate(in_full=Value(whole, BooleanField()))

    @admin.display(description="Code")
    def shown_code(self, voucher: Voucher) -> str:
        return voucher.code if voucher.in_full else masked(voucher.code)  # type: ignore[attr-defined]

    @admin.display(description="Amount")
    def amount(self, voucher: Voucher) -> str:
        return money(voucher.amount_minor, voucher.currency)


class EndpointForm(forms.ModelForm):
    url = forms.URLField(
        max_length=300, assume_scheme="https", widget=UnfoldAdminTextInputWidget, label="Address, https:// only"
    )

    def clean_url(self) -> Any:
        url = self.cleaned_data["url"]
        try:
            endpoints.require_allowed(url)
        except (InvalidInput, PartnerUnavailable) as refusal:
            raise forms.ValidationError(str(refusal)) from refusal
        return url


@admin.register(PartnerEndpoint)
class PartnerEndpointAdmin(MayWaitAdmin):
    list_display = ("name", "url", "enabled", "made_by", "created_at")
    ordering = ("name",)
    form = EndpointForm
    fields = ("name", "url", "enabled")

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        # Playbooks call it by its name, and published versions never change.
        return ("name",) if obj is not None else ()

    def give(self, request: HttpRequest, obj: Model, form: forms.ModelForm, *, is_new: bool) -> Approval | None:
        saved = naming.name_endpoint(
            cast(PartnerEndpoint, obj).name,
            url=form.cleaned_data["url"],
            enabled=form.cleaned_data["enabled"],
            is_new=is_new,
            actor=person(request.user, Channel.ADMIN),
        )
        if isinstance(saved, Approval):
            return saved
        obj.pk = saved.pk
        return None

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(ModelAdmin.has_add_permission(self, request))

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(ModelAdmin.has_change_permission(self, request, obj))
