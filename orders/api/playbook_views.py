"""Playbooks over the API: read the catalogue, save versions, publish and retire them, simulate them on a real order."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from orders.api import idempotency
from orders.api.accounts_outgoing import ApprovalOutput
from orders.api.fields import StrictSerializer, Text
from orders.api.idempotency import Answer
from orders.api.incoming import ReasonInput
from orders.api.permissions import PerAction
from orders.api.schema import answer_headers, answers, key_header
from orders.api.views import StrictViewSet
from orders.models import Order, Playbook, PlaybookVersion
from orders.models.rules import choices
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import Definition
from orders.services.playbooks import publishing, simulating
from orders.vocabulary import VersionStatus

DOCUMENT = {"type": "object", "additionalProperties": True, "description": "As /api/playbook-schema/ has it."}


@extend_schema_field(DOCUMENT)
class DocumentField(serializers.JSONField):
    """A playbook as a document; the service judges it and names the path of every problem."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("It must be an object.")
        return data


@extend_schema_field(
    {"type": "object", "additionalProperties": {"oneOf": [{"type": one} for one in ("string", "integer", "boolean")]}}
)
class GivenField(serializers.JSONField):
    """Values by name."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict) or not all(isinstance(value, str | int | bool) for value in data.values()):
            raise serializers.ValidationError("It must be an object of texts, whole numbers, true and false.")
        return data


class SaveInput(StrictSerializer):
    document = DocumentField()


class SimulateInput(StrictSerializer):
    order = Text(max_length=32)
    document = DocumentField(required=False, default=None, help_text="A draft; else the newest version.")
    inputs = GivenField(required=False, default=dict)
    answers = GivenField(required=False, default=dict, help_text="Assumed answers, by the id of the question's step.")


class VersionOutput(serializers.ModelSerializer):
    playbook = serializers.CharField(source="playbook.slug")
    status = serializers.ChoiceField(choices=choices(VersionStatus))
    created_by = serializers.CharField(source="created_by.username", allow_null=True, default=None)
    published_by = serializers.CharField(source="published_by.username", allow_null=True, default=None)
    document = serializers.DictField()

    class Meta:
        model = PlaybookVersion
        fields = [
            "playbook",
            "number",
            "title",
            "status",
            "hash",
            "created_at",
            "created_by",
            "published_at",
            "published_by",
            "document",
        ]


class PlaybookOutput(serializers.Serializer):
    playbook = serializers.CharField(source="slug")
    created_at = serializers.DateTimeField()
    newest = serializers.SerializerMethodField()
    published = serializers.SerializerMethodField(help_text="The version that new runs follow; null without one.")

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_newest(self, playbook: Playbook) -> int | None:
        return next((version.number for version in playbook.versions.all()), None)

    @extend_schema_field({"type": "integer", "nullable": True})
    def get_published(self, playbook: Playbook) -> int | None:
        numbers = (one.number for one in playbook.versions.all() if one.status == VersionStatus.PUBLISHED)
        return next(numbers, None)


class SimulatedLine(serializers.Serializer):
    path = serializers.CharField()
    step = serializers.CharField()
    type = serializers.CharField()
    says = serializers.CharField()
    holds = serializers.BooleanField(allow_null=True, help_text="Of a condition; null for other steps.")
    activity = serializers.CharField()
    parameters = serializers.DictField()
    problem = serializers.CharField(help_text="Why the way would end here; empty where it goes on.")


class SimulationOutput(serializers.Serializer):
    order = serializers.CharField(source="order_number")
    inputs = serializers.DictField()
    complete = serializers.BooleanField()
    lines = SimulatedLine(many=True)


class EntryOutput(serializers.Serializer):
    name = serializers.CharField()
    title = serializers.CharField()
    says = serializers.CharField()
    permission = serializers.CharField()
    parameters = serializers.ListField(child=serializers.DictField())
    results = serializers.DictField()
    undone_by = serializers.CharField()


class Playbooks(StrictViewSet):
    permission_classes = [PerAction]
    action_permissions = {
        "list": ("orders.view_playbook",),
        "catalogue": ("orders.view_playbook",),
        "definition": ("orders.view_playbook",),
        "versions": ("orders.view_playbookversion",),
        "version": ("orders.view_playbookversion",),
        "save": ("orders.edit_playbook",),
        "simulate": ("orders.edit_playbook",),
        "publish": ("orders.publish_playbook",),
        "retire": ("orders.publish_playbook",),
    }
    queryset = PlaybookVersion.objects.select_related("playbook", "created_by", "published_by")
    serializer_class = VersionOutput
    filter_backends = []
    pagination_class = None

    @extend_schema(
        summary="The playbooks",
        description="By name, with the newest and the published version.",
        responses=answers({200: PlaybookOutput(many=True)}),
    )
    def list(self, request: Request) -> Response:
        return Response(PlaybookOutput(Playbook.objects.prefetch_related("versions")[:500], many=True).data)

    @extend_schema(
        summary="What a playbook can do",
        description="The only names that an activity step may use, with parameters, results and permissions.",
        responses=answers({200: EntryOutput(many=True)}),
    )
    def catalogue(self, request: Request) -> Response:
        shown = [
            {
                "name": entry.name,
                "title": entry.title,
                "says": entry.says,
                "permission": entry.permission,
                "parameters": [
                    {"name": one.name, "type": one.type, "label": one.label, "required": one.required}
                    for one in entry.parameters
                ],
                "results": dict(entry.results),
                "undone_by": entry.undone_by,
            }
            for entry in CATALOGUE.values()
        ]
        return Response(EntryOutput(shown, many=True).data)

    @extend_schema(
        summary="The JSON Schema of a playbook",
        description="Of the one definition that validates, is edited and runs.",
        responses=answers({200: OpenApiTypes.OBJECT}),
    )
    def definition(self, request: Request) -> Response:
        return Response(Definition.model_json_schema())

    @extend_schema(
        operation_id="playbooks_versions_list",
        summary="The versions of a playbook",
        description="The newest first, at most two hundred.",
        responses=answers({200: VersionOutput(many=True)}, 404),
    )
    def versions(self, request: Request, slug: str) -> Response:
        found = list(self.get_queryset().filter(playbook__slug=slug)[:200])
        if not found:
            raise NotFound(self.not_found_text)
        return Response(VersionOutput(found, many=True).data)

    @extend_schema(
        summary="One version of a playbook",
        description="What it says never changes.",
        responses=answers({200: VersionOutput}, 404),
    )
    def version(self, request: Request, slug: str, number: str) -> Response:
        return Response(VersionOutput(self._version(slug, number)).data)

    @extend_schema(
        summary="Save a playbook",
        description="As the next version, a draft. 400 names the path of every problem in the document. What the "
        "newest version says already makes no new one.",
        request=SaveInput,
        responses=answers({201: VersionOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(201)],
    )
    def save(self, request: Request, slug: str) -> HttpResponse:
        def work() -> Answer:
            body = SaveInput(data=request.data)
            body.is_valid(raise_exception=True)
            version = publishing.save(slug, body.validated_data["document"], actor=self.actor())
            return self._answer(version, 201)

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="Simulate a playbook on a real order",
        description="The way that would be taken, the value of each condition, and each call with its parameters. "
        "Nothing is stored and nobody is called.",
        request=SimulateInput,
        responses=answers({200: SimulationOutput}, 404, body=True),
    )
    def simulate(self, request: Request, slug: str) -> Response:
        body = SimulateInput(data=request.data)
        body.is_valid(raise_exception=True)
        said = body.validated_data
        document = said["document"]
        if document is None:
            newest = self.get_queryset().filter(playbook__slug=slug).first()
            if newest is None:
                raise NotFound(self.not_found_text)
            document = newest.document
        try:
            found = simulating.simulate(
                document, said["order"], inputs=said["inputs"], answers=said["answers"], actor=self.actor()
            )
        except Order.DoesNotExist as error:
            raise NotFound("There is no such order, or you may not see it.") from error
        return Response(SimulationOutput(found).data)

    @extend_schema(
        summary="Ask for the publication of a version",
        description="It waits for a second person, who decides it under /api/approvals/. Needs the permissions of all "
        "that the playbook does. 409 when it waits already or is no draft.",
        request=ReasonInput,
        responses=answers({202: ApprovalOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(202)],
    )
    def publish(self, request: Request, slug: str, number: str) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._version(slug, number)
            approval = publishing.publish(slug, int(number), actor=self.actor(), **body.validated_data)
            where = reverse("api:approval", kwargs={"pk": approval.pk}, request=request)
            return Answer(status=202, body=dict(ApprovalOutput(approval).data), location=where)

        return idempotency.answer_once(request, work, key_required=False)

    @extend_schema(
        summary="Retire a version",
        description="No new run follows it; runs under way go on.",
        request=ReasonInput,
        responses=answers({200: VersionOutput}, 404, body=True),
        parameters=[key_header(required=False), *answer_headers(200)],
    )
    def retire(self, request: Request, slug: str, number: str) -> HttpResponse:
        def work() -> Answer:
            body = ReasonInput(data=request.data)
            body.is_valid(raise_exception=True)
            self._version(slug, number)
            return self._answer(publishing.retire(slug, int(number), actor=self.actor(), **body.validated_data), 200)

        return idempotency.answer_once(request, work, key_required=False)

    def _version(self, slug: str, number: str) -> PlaybookVersion:
        version: PlaybookVersion | None = self.get_queryset().filter(playbook__slug=slug, number=int(number)).first()
        if version is None:
            raise NotFound(self.not_found_text)
        return version

    def _answer(self, version: PlaybookVersion, status: int) -> Answer:
        at = {"slug": version.playbook.slug, "number": version.number}
        where = reverse("api:playbook-version", kwargs=at, request=self.request)
        return Answer(status=status, body=dict(VersionOutput(version).data), location=where)
