"""The connection to Temporal: one client a process, connected eagerly, made after any fork.

A lazily connected client hung threads for ever when several event loops met it, and a client cannot cross a fork
(both measured). Address, TLS and API key come from temporalio's envconfig: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE,
TEMPORAL_API_KEY, TEMPORAL_TLS_*, or a profile.
"""

import asyncio
import logging
from pathlib import Path

from django.conf import settings
from temporalio.client import Client
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig

from orders.keyring import parse_keys
from temporal_app.codec import EncryptionCodec
from temporal_app.conversion import BelievedPayloads, OurDataConverter, VouchedFailures

logger = logging.getLogger(__name__)


def codec() -> EncryptionCodec:
    """The codec with the configured keys. Raises `InvalidKeys`, or `OSError` for a list that cannot be read."""
    return EncryptionCodec(parse_keys(settings.TEMPORAL_PAYLOAD_KEYS), legacy=legacy_workflows())


def legacy_workflows() -> frozenset[str]:
    """Ids of workflows whose payloads may be of the time before purposes, one a line. Raises `OSError`."""
    if not settings.TEMPORAL_LEGACY_PAYLOADS:
        return frozenset()
    return frozenset(filter(None, Path(settings.TEMPORAL_LEGACY_PAYLOADS).read_text().splitlines()))


def data_converter() -> DataConverter:
    """How everything of ours is written to Temporal and read back; workers, clients and replays must share it.

    Message and stack trace of a failure are no payload: without the second converter they are stored in the clear.
    """
    return OurDataConverter(
        payload_converter_class=BelievedPayloads,
        payload_codec=codec(),
        failure_converter_class=VouchedFailures,
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
