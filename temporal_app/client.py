"""The connection to Temporal: one client a process, connected eagerly, made after any fork.

A lazily connected client hung threads for ever when several event loops met it, and a client cannot cross a fork
(both measured). Address, TLS and API key come from temporalio's envconfig: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_TLS_*, or a profile.
"""

import asyncio
import dataclasses
import logging

from django.conf import settings
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.envconfig import ClientConfig

from orders.keyring import parse_keys
from temporal_app.codec import EncryptionCodec

logger = logging.getLogger(__name__)


def codec() -> EncryptionCodec:
    """The codec with the configured keys. Raises `InvalidKeys`."""
    return EncryptionCodec(parse_keys(settings.TEMPORAL_PAYLOAD_KEYS))


def data_converter() -> DataConverter:
    """How everything of ours is written to Temporal and read back; workers, clients and replays must share it.

    Message and stack trace of a failure are no payload: without the second converter they are stored in the clear.
    """
    return dataclasses.replace(
        pydantic_data_converter,
        payload_codec=codec(),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


async def connect() -> Client:
    """A connected client. Raises RuntimeError at once when Temporal does not answer."""
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, data_converter=data_converter())


async def connect_when_reachable(stop: asyncio.Event) -> Client | None:
    """Wait for Temporal as long as it takes; None when `stop` is set first."""
    delay = 0.2
    while not stop.is_set():
        try:
            return await connect()
        except RuntimeError as error:
            logger.warning("Temporal does not answer, next try in %.1f s: %s", delay, error)
        try:
            await asyncio.wait_for(stop.wait(), delay)
        except TimeoutError:
            delay = min(delay * 2, 5.0)
    return None
