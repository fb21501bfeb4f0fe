"""What reaches Temporal is encrypted, keys can be rotated under running orders, and a missing key is named."""

import base64
import dataclasses

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from pytest_django.fixtures import Settings
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, WorkflowSerializationContext
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from orders.keyring import InvalidKeys, parse_keys
from temporal_app.client import connect, data_converter
from temporal_app.codec import ENCODING, KEY_ID, EncryptionCodec, Purpose, UnreadablePayload, messages_within
from temporal_app.management.commands.record_histories import in_the_clear
from temporal_app.workflows.order import OrderWorkflow
from tests.workflows.order_world import FORWARD, OrderWorld, eventually, final


def key(filler: str) -> str:
    return base64.b64encode(filler.encode() * 32).decode()


OLD, NEW = f"old:{key('o')}", f"new:{key('n')}"
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"Ada Buyer"')
PURPOSE = Purpose("default", "order:1", "workflow")


def ring(*keys: str) -> EncryptionCodec:
    """As the workflow `order:1` reads and writes."""
    codec = EncryptionCodec(parse_keys(",".join(keys)))
    return codec.with_context(WorkflowSerializationContext(namespace="default", workflow_id="order:1"))


def converter(*keys: str) -> DataConverter:
    return dataclasses.replace(data_converter(), payload_codec=EncryptionCodec(parse_keys(",".join(keys))))


def with_keys(server: WorkflowEnvironment, *keys: str) -> Client:
    """Another client of the same server."""
    config = server.client.config()
    config["data_converter"] = converter(*keys)
    return Client(**config)


def key_ids(history: WorkflowHistory) -> set[str]:
    payloads = [payload for event in history.events for payload in messages_within(event, Payload)]
    return {payload.metadata[KEY_ID].decode() for payload in payloads if KEY_ID in payload.metadata}


# --- one payload ------------------------------------------------------------------------------------------------------
def test_an_encrypted_payload_shows_nothing_and_comes_back_with_its_metadata() -> None:
    sealed = ring(OLD).encrypted(PLAIN, PURPOSE)
    assert (sealed.metadata["encoding"], sealed.metadata[KEY_ID]) == (ENCODING, b"old")
    assert b"Ada" not in sealed.SerializeToString()
    assert b"json" not in sealed.SerializeToString()
    assert ring(OLD).decrypted(sealed) == PLAIN
    assert ring(OLD).encrypted(PLAIN, PURPOSE).data != sealed.data


def test_a_payload_of_an_unknown_key_is_refused_with_the_keys_id() -> None:
    with pytest.raises(UnreadablePayload, match=r"key 'old'.*\(it holds new\)"):
        ring(NEW).decrypted(ring(OLD).encrypted(PLAIN, PURPOSE))


def changed(
    sealed: Payload, *, key_id: bytes = b"old", position: int | None = None, length: int | None = None
) -> Payload:
    data = bytearray(sealed.data[:length])
    if position is not None:
        data[position] ^= 1
    return Payload(metadata={**sealed.metadata, KEY_ID: key_id}, data=bytes(data))


@pytest.mark.parametrize(
    "change",
    [{"position": 0}, {"position": 12}, {"position": -1}, {"length": 20}, {"length": 5}, {"length": 0}],
    ids=str,
)
def test_a_changed_payload_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(UnreadablePayload, match="was changed"):
        ring(OLD).decrypted(changed(ring(OLD).encrypted(PLAIN, PURPOSE), **change))


def test_the_keys_id_is_authenticated_with_the_data() -> None:
    same_key_under_two_ids = ring(OLD, f"alias:{key('o')}")
    with pytest.raises(UnreadablePayload, match="another key"):
        same_key_under_two_ids.decrypted(changed(ring(OLD).encrypted(PLAIN, PURPOSE), key_id=b"alias"))


# --- the setting ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "there is no key"),
        (" ", "there is no key"),
        (key("o"), "entry 1 has no id"),
        (f"{OLD},", "entry 2 has no id"),
        ("old:", "has 0 bytes, not 32"),
        ("old:c2hvcnQ=", "has 5 bytes, not 32"),
        ("old:not base64!", "is not base64"),
        (f"{OLD},{OLD}", "stands there twice"),
        (f"o d:{key('o')}", "entry 1 has no id"),
    ],
)
def test_keys_that_cannot_be_used_stop_the_start_with_a_hint(settings: Settings, text: str, words: str) -> None:
    settings.TEMPORAL_PAYLOAD_KEYS, settings.IS_PRODUCTION = text, True
    with pytest.raises(SystemCheckError, match=words) as caught:
        call_command("check")
    assert "(backoffice.E004)" in str(caught.value)
    assert "HINT: Set it to" in str(caught.value)
    assert key("o") not in str(caught.value)


async def test_without_a_key_nobody_connects_to_temporal_outside_production_either(settings: Settings) -> None:
    settings.TEMPORAL_PAYLOAD_KEYS = ""
    with pytest.raises(InvalidKeys, match="there is no key"):
        await connect()


def test_keys_are_taken_in_either_base64_alphabet_with_or_without_padding() -> None:
    secret = bytes(range(224, 256))
    spellings = [
        base64.b64encode(secret),
        base64.urlsafe_b64encode(secret),
        base64.urlsafe_b64encode(secret).rstrip(b"="),
    ]
    sealed = ring(f"a:{spellings[0].decode()}").encrypted(PLAIN, PURPOSE)
    assert all(ring(f"a:{one.decode()}").decrypted(sealed) == PLAIN for one in spellings)


# --- rotation ---------------------------------------------------------------------------------------------------------
async def test_after_a_rotation_old_histories_replay_and_new_payloads_use_the_new_key(
    skipping: WorkflowEnvironment, caplog: pytest.LogCaptureFixture
) -> None:
    histories = []
    for keys in ((OLD,), (NEW, OLD)):
        world = OrderWorld()
        world.fail("charge_payment", final("payment_declined", "The card was declined"))
        async with world.order(skipping, client=with_keys(skipping, *keys)) as handle:
            await handle.result()
        histories.append(await handle.fetch_history())
    assert [key_ids(history) for history in histories] == [{"old"}, {"new"}]

    async def replay(*keys: str) -> None:
        for history in histories:
            replayer = Replayer(workflows=[OrderWorkflow], data_converter=converter(*keys), namespace="default")
            await replayer.replay_workflow(history)

    await replay(NEW, OLD)
    await replay(OLD, NEW)
    with pytest.raises(Exception, match="UnreadablePayload"):
        await replay(NEW)
    # The failure itself is encrypted on its way to Temporal; the log says which key it is.
    assert "the key 'old', which BACKOFFICE_PAYLOAD_KEYS of this process does not hold" in caplog.text


async def test_a_key_that_is_missing_stops_the_order_until_it_is_back_and_ends_nothing(
    dev_server: WorkflowEnvironment,
) -> None:
    world = OrderWorld()
    async with world.order(dev_server, client=with_keys(dev_server, OLD), worker=False) as handle:
        queue = (await handle.describe()).task_queue

        def worker(*keys: str) -> Worker:
            client = with_keys(dev_server, *keys)
            return Worker(client, task_queue=queue, workflows=[OrderWorkflow], activities=world.activities())

        async with worker(NEW):
            failed, *_ = await eventually(handle, "workflow_task_failed_event_attributes")
        here = WorkflowSerializationContext(namespace="default", workflow_id=handle.id)
        told = (
            await converter(NEW).with_context(here).decode_failure(failed.workflow_task_failed_event_attributes.failure)
        )
        assert "'old', which BACKOFFICE_PAYLOAD_KEYS" in str(told)
        assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
        async with worker(NEW, OLD):
            result = (
                await with_keys(dev_server, NEW, OLD).get_workflow_handle_for(OrderWorkflow.run, handle.id).result()
            )
    assert result.status == "completed"
    assert world.log == list(FORWARD)


async def test_a_recorded_history_holds_no_key_and_no_stack_trace(skipping: WorkflowEnvironment) -> None:
    world = OrderWorld()
    world.fail("charge_payment", final("payment_declined", "The card was declined"))
    async with world.order(skipping, client=with_keys(skipping, OLD)) as handle:
        await handle.result()
    history = await handle.fetch_history()
    recorded = in_the_clear(history, ring(NEW, OLD))
    written = b"".join(event.SerializeToString() for event in recorded.events)
    assert b"The card was declined" in written
    assert ENCODING not in written
    assert b"order_world.py" not in written
    await Replayer(workflows=[OrderWorkflow], data_converter=pydantic_data_converter).replay_workflow(recorded)
