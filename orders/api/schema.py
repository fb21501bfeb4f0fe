"""Saying in OpenAPI what the code does: the problem documents, the headers, and that unknown fields are refused.

A schema that lies is worse than none: clients are generated from it. `test_api_schema.py` holds the API against it
with schemathesis.
"""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiSerializerExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse

from orders import vocabulary
from orders.api import idempotency, problems
from orders.api.problem_outgoing import Problem
from orders.models.rules import choices


class Words:
    """Names for the enums of the schema, which would else all be called after the field `status`."""

    OrderStatus = choices(vocabulary.OrderStatus)
    PaymentStatus = choices(vocabulary.PaymentStatus)
    ShipmentStatus = choices(vocabulary.ShipmentStatus)
    CommandStatus = choices(vocabulary.CommandStatus)
    ApprovalStatus = choices(vocabulary.ApprovalStatus)
    FeedStatus = choices(vocabulary.FeedStatus)
    ReviewStatus = choices(vocabulary.ReviewStatus)
    DisputeStatus = choices(vocabulary.DisputeStatus)
    ProcessStatus = choices(vocabulary.ProcessStatus)
    ProcessStepStatus = choices(vocabulary.ProcessStepStatus)
    ProcessName = choices(vocabulary.ProcessName)
    ProcessStepName = choices(vocabulary.ProcessStepName)
    DifferenceKind = choices(vocabulary.DifferenceKind)
    QualityStatus = choices(vocabulary.QualityStatus)
    BatchStatus = choices(vocabulary.BatchStatus)
    BatchItemStatus = choices(vocabulary.ItemStatus)
    BatchAction = choices(vocabulary.BatchAction)
    ExportStatus = choices(vocabulary.ExportStatus)
    ExportFormat = choices(vocabulary.ExportFormat)
    EventType = choices(vocabulary.EventType)
    FeedFormat = choices(vocabulary.FeedFormat)
    VersionStatus = choices(vocabulary.VersionStatus)
    PlaybookRunStatus = choices(vocabulary.PlaybookRunStatus)
    PlaybookStepStatus = choices(vocabulary.PlaybookStepStatus)
    RecoveryDecision = choices(vocabulary.RecoveryDecision)
    IncidentDecision = choices(vocabulary.IncidentDecision)
    RestoreDecision = choices(vocabulary.RestoreDecision)


#: what every address may answer
ALWAYS = (400, 401, 403, 406, 429, 500, 503)
#: what every address that takes a body may answer besides
WITH_BODY = (409, 411, 413, 415, 422)


def answers(success: dict[Any, Any], *statuses: int, body: bool = False) -> dict[Any, Any]:
    """The `responses` of an operation: its success and a problem document for every refusal."""
    refusals = sorted({*ALWAYS, *(WITH_BODY if body else ()), *statuses})
    return {
        **success,
        **{
            (status, problems.MEDIA_TYPE): OpenApiResponse(Problem, description=problems.BY_STATUS[status].title)
            for status in refusals
        },
    }


def key_header(*, required: bool) -> OpenApiParameter:
    return OpenApiParameter(
        idempotency.HEADER,
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]{1,255}$"},
        OpenApiParameter.HEADER,
        required=required,
        description="A text of your own for this request. Sent again with the same body, it gets the saved answer with "
        f"`{idempotency.REPLAYED_HEADER}: true` and nothing is done twice; with another body a 422; while the first "
        "request is under way a 409. Refusals are not saved: after a 4xx the key is free again.",
    )


def answer_headers(*statuses: int) -> list[OpenApiParameter]:
    """Headers of an answer that may be a replay."""
    where: dict[str, Any] = {"location": OpenApiParameter.HEADER, "response": list(statuses)}
    return [
        OpenApiParameter("Location", str, required=True, description="Where the thing is to be found.", **where),
        OpenApiParameter(idempotency.REPLAYED_HEADER, str, description="`true` when this is a saved answer.", **where),
    ]


class StrictInputs(OpenApiSerializerExtension):  # type: ignore[no-untyped-call]
    target_class = "orders.api.fields.StrictSerializer"
    match_subclasses = True

    def map_serializer(self, auto_schema: AutoSchema, direction: Any) -> Any:
        schema = auto_schema._map_serializer(self.target, direction, bypass_extensions=True)  # type: ignore[no-untyped-call]
        schema["additionalProperties"] = False
        return schema
