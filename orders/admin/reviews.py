"""The review queue, and the versions of the fraud rules.

A case is decided on its order's page, where everything that a reviewer needs stands together. Rules are never edited:
saving asks a second person for a new version, so that an old score stays explained by the rules it was made with.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.safestring import SafeString
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders import clock
from orders.actor import person
from orders.admin.money import order_link
from orders.admin.reading import ReadOnlyAdmin, ago, badge
from orders.admin.waiting import MayWaitAdmin
from orders.amounts import money
from orders.models import Approval, FraudRules, ReviewCase
from orders.services import fraud_rules
from orders.services.fraud import current_rules
from orders.vocabulary import Channel, ReviewStatus
from orders.wording import Tone, status_word

REVIEW_TONES = {
    ReviewStatus.OPEN: Tone.WAITING,
    ReviewStatus.APPROVED: Tone.DONE,
    ReviewStatus.REJECTED: Tone.NEUTRAL,
    ReviewStatus.CLOSED: Tone.NEUTRAL,
}
EDITABLE = (*fraud_rules.FIELDS, "reason")


@admin.register(ReviewCase)
class ReviewCaseAdmin(ReadOnlyAdmin):
    list_display = ("order_", "status_", "score", "total", "deadline", "owner", "two_people", "question", "decided_by")
    list_display_links = None
    list_select_related = ("order__fraud_check", "owner", "first_by", "decided_by")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("order__number__exact",)
    search_help_text = "Order number"
    ordering = ("deadline_at", "pk")
    sortable_by = ()

    @admin.display(description="Order")
    def order_(self, case: ReviewCase) -> SafeString | str:
        return order_link(case.order)

    @admin.display(description="Status")
    def status_(self, case: ReviewCase) -> SafeString:
        return badge(REVIEW_TONES[ReviewStatus(case.status)], status_word(case.status))

    @admin.display(description="Score")
    def score(self, case: ReviewCase) -> int:
        return int(case.order.fraud_check.score)

    @admin.display(description="Total")
    def total(self, case: ReviewCase) -> str:
        return money(case.order.total_minor, case.order.currency)

    @admin.display(description="Deadline")
    def deadline(self, case: ReviewCase) -> SafeString | str:
        if case.status != ReviewStatus.OPEN:
            return "-"
        if case.deadline_at <= clock.now():
            return ago(case.deadline_at, clock.now())
        return f"{case.deadline_at:%d %b %Y %H:%M}{' (lead)' if case.escalated_at else ''}"

    @admin.display(description="Two people")
    def two_people(self, case: ReviewCase) -> str:
        if not case.needs_second:
            return "-"
        return f"after {case.first_by}" if case.first_by else "needed"


class FraudRulesForm(forms.ModelForm):
    """Begins with the rules that count now."""

    class Meta:
        model = FraudRules
        fields = EDITABLE
        labels = {
            "total_over_minor": "Total over (minor units)",
            "second_person_over_minor": "Two people above (minor units)",
            "partner_hit_from": "Partner's score is a hit from",
            "suspicious_from": "Suspicious from (points)",
            "default_verdict": "When nobody decides",
        }

    def clean_default_verdict(self) -> str:
        verdict: str = self.cleaned_data["default_verdict"]
        if verdict not in {ReviewStatus.APPROVED, ReviewStatus.REJECTED}:
            raise forms.ValidationError("It must be approved or rejected.")
        return verdict

    def clean_partner_hit_from(self) -> int:
        score: int = self.cleaned_data["partner_hit_from"]
        if score > 100:
            raise forms.ValidationError("A score is 0 to 100.")
        return score

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        for field in ("review_hours", "escalation_hours"):
            if given.get(field) == 0:
                self.add_error(field, "It must be 1 hour or more.")
        for field in ("total_over_minor", "second_person_over_minor"):
            if (given.get(field) or 0) < 0:
                self.add_error(field, "It must be 0 or more.")
        return given


@admin.register(FraudRules)
class FraudRulesAdmin(MayWaitAdmin):
    form = FraudRulesForm
    list_display = (
        "version",
        "suspicious_from",
        "review_hours",
        "default_verdict",
        "made_by",
        "second",
        "reason",
        "created_at",
    )
    list_select_related = ("approval__decided_by",)
    ordering = ("-version",)
    sortable_by = ()

    @admin.display(description="Approved by")
    def second(self, rules: FraudRules) -> str:
        return str(rules.approval.decided_by) if rules.approval else "-"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.add_fraudrules")  # type: ignore[union-attr]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        now = current_rules()
        return {name: getattr(now, name) for name in EDITABLE if name != "reason"} | {"reason": ""}

    def give(self, request: HttpRequest, obj: Model, form: forms.ModelForm, *, is_new: bool) -> Approval | None:
        values = {name: form.cleaned_data[name] for name in fraud_rules.FIELDS}
        return fraud_rules.change(values, actor=person(request.user, Channel.ADMIN), reason=form.cleaned_data["reason"])
