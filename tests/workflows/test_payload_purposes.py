"""A payload serves what it was written for and nothing else; one changed, moved or made by others is refused."""

import asyncio
import base64
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import Settings
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadConverter,
    SerializationContext,
    WorkflowSerializationContext,
)

from orders.keyring import parse_keys
from temporal_app.client import codec, data_converter
from temporal_app.codec import (
    ENCODING,
    FORMAT,
    KEY_ID,
    EncryptionCodec,
    RefusedPayload,
    UnreadablePayload,
    refused,
)
from temporal_app.conversion import RefusedHeartbeat
from temporal_app.workflow_ids import DAY_END_CLOSE

KEY = f"k:{base64.b64encode(b'k' * 32).decode()}"
WORKFLOW = WorkflowSerializationContext(namespace="backoffice", workflow_id="order:1")
#: as the workflow knows its activity, which has chosen no id
ASKED = ActivitySerializationContext(
    namespace="backoffice",
    activity_id=None,
    activity_type="charge_payment",
    activity_task_queue="orders",
    workflow_id="order:1",
    workflow_type="OrderWorkflow",
    is_local=False,
)
#: as the activity knows itself
DOING = replace(ASKED, activity_id="7")
#: who writes -> who reads
ROADS: dict[str, tuple[SerializationContext, SerializationContext]] = {
    "start, signal, result": (WORKFLOW, WORKFLOW),
    "arguments of an activity": (ASKED, DOING),
    "result of an activity": (DOING, ASKED),
    "heartbeat": (DOING, replace(DOING, activity_id="8")),
    "run of a schedule": (
        replace(WORKFLOW, workflow_id=DAY_END_CLOSE),
        replace(WORKFLOW, workflow_id=f"{DAY_END_CLOSE}-2026-11-29T22:30:00Z"),
    ),
}
#: everybody who could read
READERS: list[SerializationContext] = [
    *(reader for _, reader in ROADS.values()),
    replace(WORKFLOW, namespace="other"),
    replace(WORKFLOW, workflow_id="order:2"),
    replace(WORKFLOW, workflow_id="order:1-2026-11-29T22:30:00Z"),
    replace(WORKFLOW, workflow_id=f"{DAY_END_CLOSE}-2026-11-29"),
    replace(WORKFLOW, workflow_id=f"{DAY_END_CLOSE}-2026-11-29T22:30:00Z-1"),
    *(replace(side, namespace="other") for side in (ASKED, DOING)),
    *(replace(side, workflow_id="order:2") for side in (ASKED, DOING)),
    *(replace(side, activity_type="undo_payment") for side in (ASKED, DOING)),
    replace(DOING, workflow_id=None),
]
names = st.text("abcdefghij-", max_size=8)
payloads = st.builds(
    Payload,
    metadata=st.dictionaries(names, st.binary(max_size=8), max_size=3),
    data=st.binary(max_size=60),
)
roads = st.sampled_from(sorted(ROADS))


def ring(context: SerializationContext | None = None, *, legacy: tuple[str, ...] = ()) -> EncryptionCodec:
    held = EncryptionCodec(parse_keys(KEY), legacy=legacy)
    return held.with_context(context) if context else held


def written(payload: Payload, context: SerializationContext) -> Payload:
    [sealed] = asyncio.run(ring(context).encode([payload]))
    return sealed


def read(payload: Payload, context: SerializationContext) -> Payload:
    [found] = asyncio.run(ring(context).decode([payload]))
    return found


@given(payloads, roads)
def test_a_payload_comes_back_as_it_was_on_every_road(payload: Payload, road: str) -> None:
    writer, reader = ROADS[road]
    sealed = written(payload, writer)
    assert ring(reader).decrypted(sealed) == payload
    assert refused(read(sealed, reader)) == ""


@given(roads, st.sampled_from(READERS))
def test_nobody_else_can_use_it(road: str, reader: SerializationContext) -> None:
    writer, _ = ROADS[road]
    meant = {
        "start, signal, result": [WORKFLOW],
        "arguments of an activity": [DOING, replace(DOING, activity_id="8")],
        "result of an activity": [ASKED, DOING, replace(DOING, activity_id="8")],
        "heartbeat": [ASKED, DOING, replace(DOING, activity_id="8")],
        "run of a schedule": [ROADS["run of a schedule"][1]],
    }[road]
    sealed = written(Payload(data=b"1"), writer)
    assert (refused(read(sealed, reader)) == "") is (reader in meant)


@given(payloads, roads, st.data())
def test_any_change_to_any_byte_is_refused(payload: Payload, road: str, data: st.DataObject) -> None:
    writer, reader = ROADS[road]
    sealed = written(payload, writer)
    parts = {"": sealed.data, **sealed.metadata}
    name = data.draw(st.sampled_from(sorted(parts)))
    place = data.draw(st.integers(0, len(parts[name]) - 1))
    other = bytearray(parts[name])
    other[place] ^= data.draw(st.integers(1, 255))
    changed = Payload(metadata=sealed.metadata, data=bytes(other) if not name else sealed.data)
    if name:
        changed.metadata[name] = bytes(other)
    with pytest.raises(UnreadablePayload):
        ring(reader).decrypted(changed)


@given(payloads, roads, st.data())
def test_metadata_that_is_added_or_left_out_is_refused(payload: Payload, road: str, data: st.DataObject) -> None:
    writer, reader = ROADS[road]
    sealed = written(payload, writer)
    name = data.draw(st.sampled_from(sorted(sealed.metadata)) | names)
    if name in sealed.metadata:
        del sealed.metadata[name]
    else:
        sealed.metadata[name] = data.draw(st.binary(max_size=8))
    with pytest.raises(UnreadablePayload):
        ring(reader).decrypted(sealed)


@pytest.mark.parametrize("encoding", [b"json/plain", b"binary/null", b"binary/plain", b"binary/refused", b""])
@pytest.mark.parametrize("reader", [WORKFLOW, ASKED, DOING], ids=["workflow", "asked", "doing"])
def test_a_plain_payload_is_refused_however_little_it_says(encoding: bytes, reader: SerializationContext) -> None:
    found = read(Payload(metadata={"encoding": encoding}), reader)
    assert refused(found) == "A payload is not encrypted."


def test_the_words_of_a_refusal_name_what_it_was_written_for_and_used_as() -> None:
    found = read(written(Payload(), WORKFLOW), replace(WORKFLOW, workflow_id="order:2"))
    assert refused(found) == (
        "A payload was written as workflow of 'order:1' in 'backoffice', and is used as workflow of 'order:2' in "
        "'backoffice'."
    )


def test_nothing_is_written_where_the_sdk_names_no_workflow() -> None:
    with pytest.raises(RuntimeError, match="names neither"):
        asyncio.run(ring().encode([Payload()]))
    assert refused(asyncio.run(ring().decode([written(Payload(), WORKFLOW)]))[0])


# --- values -----------------------------------------------------------------------------------------------------------
def values(context: SerializationContext) -> PayloadConverter:
    return data_converter().with_context(context).payload_converter


def test_only_what_this_process_has_decoded_becomes_a_value() -> None:
    plain = values(WORKFLOW).to_payload(True)
    with pytest.raises(RefusedPayload, match="came past the codec"):
        values(WORKFLOW).from_payload(plain, bool)
    with pytest.raises(RefusedPayload, match="came past the codec"):
        values(WORKFLOW).from_payload(plain, RawValue)
    assert values(WORKFLOW).from_payload(read(written(plain, WORKFLOW), WORKFLOW), bool) is True


def test_the_proof_is_not_stored_with_what_is_passed_on() -> None:
    decoded = read(written(Payload(data=b"1"), WORKFLOW), WORKFLOW)
    assert ring(WORKFLOW).decrypted(written(decoded, WORKFLOW)) == Payload(data=b"1")


def test_the_proof_of_another_process_is_worth_nothing() -> None:
    plain = values(WORKFLOW).to_payload(True)
    plain.metadata["proof"] = uuid.uuid4().bytes
    with pytest.raises(RefusedPayload):
        values(WORKFLOW).from_payload(plain, bool)


def test_a_heartbeat_that_cannot_be_read_does_not_end_its_activity() -> None:
    """The SDK fails the attempt for good when the details of the last one raise."""
    missing = EncryptionCodec(parse_keys(f"other:{base64.b64encode(b'o' * 32).decode()}")).with_context(DOING)
    [details] = asyncio.run(missing.encode([values(DOING).to_payload(500)]))
    for forged in (details, Payload(metadata={"encoding": b"json/plain"}, data=b"500")):
        found = read(forged, DOING)
        [value] = values(DOING).from_payloads([found])
        assert isinstance(value, RefusedHeartbeat)
        with pytest.raises(RefusedPayload):
            values(DOING).from_payloads([found], [int])


# --- before there were purposes ---------------------------------------------------------------------------------------
def unbound(payload: Payload) -> Payload:
    """As it was written before."""
    key, nonce = parse_keys(KEY)[0], bytes(12)
    sealed = key.cipher.encrypt(nonce, payload.SerializeToString(), ENCODING + b"\0" + key.id.encode())
    return Payload(metadata={"encoding": ENCODING, KEY_ID: key.id.encode()}, data=nonce + sealed)


@pytest.mark.parametrize("reader", [WORKFLOW, ASKED, DOING], ids=["workflow", "asked", "doing"])
def test_an_unbound_payload_is_read_for_the_workflows_that_are_listed_and_no_other(
    reader: SerializationContext,
) -> None:
    old = unbound(Payload(data=b"1"))
    assert ring(reader, legacy=("order:1",)).decrypted(old).data == b"1"
    for legacy in ((), ("order:2", "order:", "order:11")):
        with pytest.raises(RefusedPayload, match="BACKOFFICE_LEGACY_PAYLOADS does not list 'order:1'"):
            ring(reader, legacy=legacy).decrypted(old)
    assert ring().displayed(old).data == b"1"


def test_a_listed_workflow_gets_no_plain_payload_and_none_without_its_format() -> None:
    listed = ring(WORKFLOW, legacy=("order:1",))
    with pytest.raises(RefusedPayload, match="not encrypted"):
        listed.decrypted(Payload(metadata={"encoding": b"json/plain"}))
    other = written(Payload(data=b"1"), replace(WORKFLOW, workflow_id="order:2"))
    del other.metadata[FORMAT]
    with pytest.raises(RefusedPayload, match="was changed"):
        listed.decrypted(other)


def test_the_list_is_a_file_of_ids(settings: Settings, tmp_path: Path) -> None:
    settings.TEMPORAL_LEGACY_PAYLOADS = str(tmp_path / "legacy")
    (tmp_path / "legacy").write_text("order:1\n\norder:2\n")
    assert codec()._legacy == {"order:1", "order:2"}
    settings.TEMPORAL_LEGACY_PAYLOADS = ""
    assert codec()._legacy == frozenset()
