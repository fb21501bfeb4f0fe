"""What the API says of a review case and of the plan of a cancellation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers
from rest_framework.reverse import reverse

from orders.models import ReviewCase
from orders.models.rules import choices
from orders.vocabulary import ReviewStatus, StepName


class HitOutput(serializers.Serializer):
    rule = serializers.CharField()
    points = serializers.IntegerField()
    says = serializers.CharField()


class ReviewOutput(serializers.ModelSerializer):
    """An order that a person must decide, with why it is suspicious and who may still be missing."""

    order = serializers.CharField(source="order.number")
    status = serializers.ChoiceField(choices=choices(ReviewStatus))
    score = serializers.IntegerField(source="order.fraud_check.score")
    hits = HitOutput(many=True, source="order.fraud_check.hits")
    partner_asked_at = serializers.DateTimeField(
        source="order.fraud_check.partner_asked_at",
        allow_null=True,
        help_text="How old the partner's score is; null when a person skipped the partner.",
    )
    owner = serializers.SerializerMethodField(help_text="Who claimed the case; null when nobody did.")
    first_by = serializers.SerializerMethodField(help_text="The first of two people who approve; else null.")
    decided_by = serializers.SerializerMethodField(help_text="null while open, or when nobody decided in time.")
    links = serializers.SerializerMethodField()

    class Meta:
        model = ReviewCase
        fields = [
            "order",
            "status",
            "score",
            "hits",
            "partner_asked_at",
            "owner",
            "opened_at",
            "deadline_at",
            "escalated_at",
            "question",
            "needs_second",
            "first_by",
            "decided_by",
            "decided_at",
            "note",
            "links",
        ]

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_owner(self, case: ReviewCase) -> str | None:
        return case.owner.get_username() if case.owner else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_first_by(self, case: ReviewCase) -> str | None:
        return case.first_by.get_username() if case.first_by else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_decided_by(self, case: ReviewCase) -> str | None:
        return case.decided_by.get_username() if case.decided_by else None

    @extend_schema_field(
        inline_serializer(
            "ReviewLinks",
            {
                "order": serializers.URLField(),
                "page": serializers.URLField(),
                "answers": serializers.URLField(help_text="What else partners said, and how old that is."),
            },
        )
    )
    def get_links(self, case: ReviewCase) -> dict[str, Any]:
        at: dict[str, Any] = {"kwargs": {"number": case.order.number}, "request": self.context["request"]}
        return {
            "order": reverse("api:order", **at),
            "page": reverse("orders:page", **at),
            "answers": reverse("api:order-answers", **at),
        }


class PlanLineOutput(serializers.Serializer):
    step = serializers.ChoiceField(choices=choices(StepName))
    says = serializers.CharField()
    done = serializers.BooleanField(help_text="Whether it is undone.")


class CancelPlanOutput(serializers.Serializer):
    order = serializers.CharField(source="order_number")
    undo = PlanLineOutput(many=True, help_text="What is undone, in this order.")
    stays = serializers.ListField(child=serializers.CharField(), help_text="What cannot be said yet, or not undone.")
