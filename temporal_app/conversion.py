"""Values from payloads and back: only what our own codec has decoded becomes a value.

The codec says of each payload whether it may be believed; here somebody wants to use it, and here it is refused.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any, Self

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverterWithEncodedAttributes,
    PayloadConverter,
    SerializationContext,
)

from temporal_app.codec import FORMAT, UNBOUND, RefusedPayload, is_in_activity, messages_within, refused


class RefusedHeartbeat:
    """Stands for the details of a heartbeat that was refused; nothing of ours reads any."""


class BelievedPayloads(PydanticPayloadConverter):
    """Converts as pydantic does. Raises `RefusedPayload` for what this process has not decoded."""

    _in_activity = False

    def with_context(self, context: SerializationContext) -> Self:
        if not is_in_activity(context):
            return self
        # A copy shares the type adapters, which take milliseconds to build.
        inside = copy.copy(self)
        inside._in_activity = True
        return inside

    def from_payloads(self, payloads: Sequence[Payload], type_hints: list[type] | None = None) -> list[Any]:
        for reason in filter(None, map(refused, payloads)):
            # An attempt whose heartbeat cannot be read fails for good in the SDK, although nothing depends on it.
            # It alone is read without types: a call with too many arguments is too, and ends as a TypeError.
            if self._in_activity and type_hints is None:
                return [RefusedHeartbeat()] * len(payloads)
            raise RefusedPayload(reason)
        return super().from_payloads(payloads, type_hints)


class VouchedFailures(DefaultFailureConverterWithEncodedAttributes):
    """Keeps message and stack trace out of the clear, and vouches for the type.

    Type and retryability stay in the clear, as the server needs them, and there anybody could write them: so they are
    repeated where the codec encrypts.
    """

    def to_failure(self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure) -> None:
        super().to_failure(exception, payload_converter, failure)
        told = json.loads(failure.encoded_attributes.data)
        failure.encoded_attributes.CopyFrom(payload_converter.to_payload({**told, **_words(failure)}))

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        info = failure.WhichOneof("failure_info")
        details = list(messages_within(getattr(failure, info), Payload)) if info else []
        if any(map(refused, details)):
            # Nothing of ours reads details. The server writes plain ones where an attempt is cancelled that waits for
            # its retry, and a workflow would stop at them.
            without = Failure()
            without.CopyFrom(failure)
            for name in ("details", "last_heartbeat_details"):
                if name in getattr(without, str(info)).DESCRIPTOR.fields_by_name:
                    getattr(without, str(info)).ClearField(name)
            failure = without
        return super().from_failure(failure, payload_converter)


def vouched(failure: Failure) -> bool:
    """Whether a failure, as the codec has decoded it, was written by us just so."""
    attributes = failure.encoded_attributes
    if not failure.HasField("encoded_attributes") or refused(attributes):
        return False
    if attributes.metadata.get(FORMAT) == UNBOUND:
        return True
    told = json.loads(attributes.data)
    return {name: told.get(name) for name in _words(failure)} == _words(failure)


def _words(failure: Failure) -> dict[str, Any]:
    """What a workflow branches on."""
    info = failure.application_failure_info
    return {"info": failure.WhichOneof("failure_info"), "type": info.type, "non_retryable": info.non_retryable}


class OurDataConverter(DataConverter):
    """Without the SDK's look for payloads that are stored elsewhere: it raises before the codec could refuse one."""

    async def _decode_reference_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)

    async def _external_retrieve_payload_sequence(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)
