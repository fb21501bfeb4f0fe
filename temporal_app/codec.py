"""What Temporal stores about us, encrypted for one purpose: arguments, results, heartbeats, summaries and failures.

Temporal keeps histories for weeks, shows them in its Web UI and may be run by somebody else; without this every payload
is readable there. And whoever reaches its port can write there: so each payload says in the clear what it was written
for (namespace, workflow id and kind), the cipher authenticates that, and a reader refuses what was written for
something else, as well as what is not encrypted. Workflow ids, search attributes and error types are in the clear:
never put personal data there.

The purpose is the SDK's serialization context, as far as the writer and the reader are given the same one:

| What | Written by | Read by | Bound to |
|---|---|---|---|
| start, signal with start | client | workflow | workflow id, `workflow` |
| signal, query, update: arguments | client | workflow | workflow id, `workflow` |
| query, update: results | workflow | client | workflow id, `workflow` |
| result or failure of a workflow | workflow | client | workflow id, `workflow` |
| continue-as-new, a reset, a retry | workflow | its next run | workflow id, `workflow`: the runs share it |
| child: arguments, result, failure | parent, child | child, parent | the child's workflow id, `workflow` |
| signal to another workflow | workflow | workflow | the receiver's workflow id, `workflow` |
| run of a schedule: arguments | client | workflow | the schedule's workflow id; the server appends the planned time |
| ... result of the run before | workflow | next run | refused: that run has another id; nothing of ours asks for it |
| activity, local or not: arguments | workflow | activity | workflow id, `activity input <type>` |
| ... result, failure | activity | workflow | workflow id, `activity outcome <type>` |
| ... heartbeat | activity | next attempt, workflow | workflow id, `activity outcome <type>` |
| memo | client, workflow | workflow | workflow id, `workflow` |
| summaries, details | client, workflow | Web UI only | as the row of what they describe; for display only |
| headers, search attributes | | | not encoded by the SDK; nothing secret is written, nothing is believed |

Run ids, activity ids, signal names and the numbers of events are not known to both sides, so an earlier payload of the
same purpose can be handed in again: what it may do is for the database to say. The activity's side knows its activity
id and the workflow's side does not (ours never chooses one), which is how an input is told from an outcome.

A bad payload does not fail here, where it would stop a healthy workflow. It becomes a payload that says why it was
refused; the converter (`conversion.py`) raises on it, and the worker (`authenticity.py`) keeps it from the workflow.
Only a key that is missing stops whoever needs it until the key is back: that is our own configuration.

What was decoded carries a proof that only this process knows, because not everything comes by here: the SDK unpacks
"system" payloads itself (`temporalio.nexus.system`), and so would hand a plain one to a workflow.

The first key of the ring encodes, all keys decode.
"""

import copy
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError, Message
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from orders.keyring import Key
from temporal_app.workflow_ids import SCHEDULE_PREFIX

ENCODING = b"binary/encrypted"
#: metadata beside "encoding"; `key-id` is the name that Temporal's samples use
KEY_ID, FORMAT, NAMESPACE, WORKFLOW_ID, KIND = "key-id", "format", "namespace", "workflow-id", "kind"
BOUND, UNBOUND = b"2", b"1"
#: of a payload that was refused; its data is the reason
REFUSED = b"binary/refused"
#: metadata of what this process has decoded, with words that nobody outside of it can know
PROOF, WORDS = "proof", os.urandom(16)
NONCE_BYTES = 12
#: what the server appends to the workflow id of a schedule
PLANNED_TIME = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
M = TypeVar("M", bound=Message)


class UnreadablePayload(Exception):
    """A payload that this process cannot decode.

    Not an `ApplicationError`: in a worker this fails the workflow task, which waits and is tried again until the key is
    back. A non-retryable `ApplicationError` would end the workflow without its undo.
    """

    #: its words are ours: which key is missing must stand in the log
    safe_to_log = True


class RefusedPayload(UnreadablePayload):
    """A payload that no key makes readable: not ours, changed, or written for something else."""


@dataclass(frozen=True)
class Purpose:
    """What a payload was written for."""

    namespace: str
    workflow_id: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind} of {self.workflow_id!r} in {self.namespace!r}"

    def serves(self, context: SerializationContext | None) -> bool:
        """Whether whoever reads in that context may believe it."""
        if isinstance(context, ActivitySerializationContext):
            kinds = [_activity_kind(context, "outcome")]
            if is_in_activity(context):
                kinds.append(_activity_kind(context, "input"))
            return self.kind in kinds and self._names(context.namespace, context.workflow_id or "")
        if isinstance(context, WorkflowSerializationContext):
            return self.kind == "workflow" and self._names(context.namespace, context.workflow_id)
        return False

    def _names(self, namespace: str, workflow_id: str) -> bool:
        if self.namespace != namespace:
            return False
        # Both conditions: only our schedules' ids grow, so a payload of `order:1` never serves `order:1-2026-...`.
        scheduled = self.workflow_id.startswith(SCHEDULE_PREFIX) and workflow_id.startswith(self.workflow_id)
        planned = PLANNED_TIME.fullmatch(workflow_id.removeprefix(self.workflow_id)) is not None
        return workflow_id == self.workflow_id or (scheduled and planned and self.kind == "workflow")


def purpose_of(context: SerializationContext | None) -> Purpose:
    """What somebody writes for in that context. Raises `RuntimeError` where the SDK names no workflow."""
    if isinstance(context, ActivitySerializationContext):
        kind = _activity_kind(context, "outcome" if is_in_activity(context) else "input")
        return Purpose(context.namespace, context.workflow_id or "", kind)
    if isinstance(context, WorkflowSerializationContext):
        return Purpose(context.namespace, context.workflow_id, "workflow")
    raise RuntimeError("A payload is written for a workflow or an activity; here the SDK names neither.")


def is_in_activity(context: SerializationContext | None) -> bool:
    """Whether the activity itself reads or writes, and not the workflow that asked for it."""
    return isinstance(context, ActivitySerializationContext) and context.activity_id is not None


def _activity_kind(context: ActivitySerializationContext, side: str) -> str:
    return f"activity {side} {context.activity_type}"


class EncryptionCodec(PayloadCodec, WithSerializationContext):
    """AES-256-GCM over the whole payload, its metadata included.

    `legacy` are ids of workflows that ran when payloads were not bound to a purpose yet: for them alone such payloads
    are read. Plain ones never are.
    """

    def __init__(self, keys: Sequence[Key], *, legacy: Collection[str] = ()) -> None:
        self._first = keys[0]
        self._keys = {key.id: key for key in keys}
        self._legacy = frozenset(legacy)
        self._context: SerializationContext | None = None

    def with_context(self, context: SerializationContext) -> Self:
        bound = copy.copy(self)
        bound._context = context
        return bound

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        purpose = purpose_of(self._context)
        return [self.encrypted(_without_proof(payload), purpose) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._decoded(payload) for payload in payloads]

    def encrypted(self, payload: Payload, purpose: Purpose) -> Payload:
        key, nonce = self._first, os.urandom(NONCE_BYTES)
        metadata = {
            "encoding": ENCODING,
            FORMAT: BOUND,
            KEY_ID: key.id.encode(),
            NAMESPACE: purpose.namespace.encode(),
            WORKFLOW_ID: purpose.workflow_id.encode(),
            KIND: purpose.kind.encode(),
        }
        sealed = key.cipher.encrypt(nonce, payload.SerializeToString(), _authenticated(metadata))
        return Payload(metadata=metadata, data=nonce + sealed)

    def decrypted(self, payload: Payload) -> Payload:
        """The payload as it was before `encrypted`, if it was written for what this codec reads.

        Raises `RefusedPayload`, or `UnreadablePayload` when its key is missing.
        """
        if payload.metadata.get("encoding") != ENCODING:
            raise RefusedPayload("A payload is not encrypted.")
        if FORMAT not in payload.metadata:
            return self._unbound(payload)
        opened = self._opened(payload, _authenticated(payload.metadata))
        purpose = _claimed(payload)
        if not purpose.serves(self._context):
            raise RefusedPayload(f"A payload was written as {purpose}, and is used as {_told(self._context)}.")
        return opened

    def displayed(self, payload: Payload) -> Payload:
        """For people who read: decrypted whatever it was written for, and unchanged where it is not encrypted.

        Raises `UnreadablePayload`.
        """
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        bound = FORMAT in payload.metadata
        return self._opened(payload, _authenticated(payload.metadata) if bound else _authenticated_before(payload))

    def _decoded(self, payload: Payload) -> Payload:
        try:
            decrypted = self.decrypted(payload)
            decrypted.metadata[PROOF] = WORDS
            return decrypted
        except RefusedPayload as error:
            return refusal(str(error))
        except UnreadablePayload as error:
            # The SDK makes a heartbeat that cannot be decoded final; the converter can tell one from an argument.
            if is_in_activity(self._context):
                return refusal(str(error))
            raise

    def _unbound(self, payload: Payload) -> Payload:
        """One of the time before purposes. A newer one without its format fails here: other words are authenticated."""
        opened = self._opened(payload, _authenticated_before(payload))
        workflow_id = getattr(self._context, "workflow_id", None)
        if workflow_id not in self._legacy:
            raise RefusedPayload(
                f"A payload is bound to no purpose, and BACKOFFICE_LEGACY_PAYLOADS does not list {workflow_id!r}."
            )
        opened.metadata[FORMAT] = UNBOUND
        return opened

    def _opened(self, payload: Payload, authenticated: bytes) -> Payload:
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        key = self._keys.get(key_id)
        if key is None:
            raise UnreadablePayload(
                f"A payload was encrypted with the key {key_id!r}, which BACKOFFICE_PAYLOAD_KEYS of this process does "
                f"not hold (it holds {', '.join(self._keys)}). Add that key behind the others; nothing is lost."
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(key.cipher.decrypt(nonce, sealed, authenticated))
        except (InvalidTag, ValueError, DecodeError):
            raise RefusedPayload(
                f"A payload of the key {key_id!r} was changed, or another key stands under that id."
            ) from None


def _authenticated(metadata: Mapping[str, bytes]) -> bytes:
    """What the cipher authenticates beside the data: all metadata, each with its length, so that none can move."""
    words = [word for name in sorted(metadata) for word in (name.encode(), metadata[name])]
    return b"".join(len(word).to_bytes(4, "big") + word for word in words)


def _authenticated_before(payload: Payload) -> bytes:
    return ENCODING + b"\0" + payload.metadata.get(KEY_ID, b"")


def _claimed(payload: Payload) -> Purpose:
    words = [payload.metadata.get(name, b"").decode(errors="replace") for name in (NAMESPACE, WORKFLOW_ID, KIND)]
    return Purpose(*words)


def _told(context: SerializationContext | None) -> str:
    try:
        return str(purpose_of(context))
    except RuntimeError:
        return "something without a purpose"


def refusal(reason: str) -> Payload:
    """What stands where a refused payload stood."""
    return Payload(metadata={"encoding": REFUSED}, data=reason.encode())


def refused(payload: Payload) -> str:
    """Why it must not be believed; empty for one that this process has decoded."""
    if payload.metadata.get("encoding") == REFUSED:
        return payload.data.decode(errors="replace")
    return "" if payload.metadata.get(PROOF) == WORDS else "A payload came past the codec."


def _without_proof(payload: Payload) -> Payload:
    """As it was before it was decoded: failures are passed on as they came."""
    if PROOF not in payload.metadata:
        return payload
    plain = Payload()
    plain.CopyFrom(payload)
    del plain.metadata[PROOF]
    return plain


def messages_within(message: Message, kind: type[M]) -> Iterator[M]:
    """Every message of that kind inside a protobuf message, outermost first; those inside a found one come after it."""
    if isinstance(message, kind):
        yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            inner = [one for one in value.values() if isinstance(one, Message)]
        else:
            inner = [value] if isinstance(value, Message) else list(value)
        for one in inner:
            yield from messages_within(one, kind)
