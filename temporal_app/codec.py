"""What Temporal stores about us, encrypted: arguments, results, heartbeats, summaries and the words of failures.

Temporal keeps histories for weeks, shows them in its Web UI and may be run by somebody else; without this every payload
is readable there. Workflow ids, search attributes and error types stay in the clear: never put personal data there.

The first key of the ring encodes, all keys decode. The key's id travels with each payload and is authenticated with it.
What was stored before there was a key passes unchanged, so that old histories replay.
"""

import os
from collections.abc import Iterator, Sequence
from typing import TypeVar

from cryptography.exceptions import InvalidTag
from google.protobuf.message import DecodeError, Message
from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from orders.keyring import Key

ENCODING = b"binary/encrypted"
#: metadata beside "encoding"; `key-id` is the name that Temporal's samples use
KEY_ID = "key-id"
NONCE_BYTES = 12
M = TypeVar("M", bound=Message)


class UnreadablePayload(Exception):
    """A payload that this process cannot decode.

    Not an `ApplicationError`: in a worker this fails the workflow task, which waits and is tried again until the key is
    back. A non-retryable `ApplicationError` would end the workflow without its undo.
    """

    #: its words are ours: which key is missing must stand in the log
    safe_to_log = True


class EncryptionCodec(PayloadCodec):
    """AES-256-GCM over the whole payload, its metadata included."""

    def __init__(self, keys: Sequence[Key]) -> None:
        self._first = keys[0]
        self._keys = {key.id: key for key in keys}

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self.encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self.decrypted(payload) for payload in payloads]

    def encrypted(self, payload: Payload) -> Payload:
        key, nonce = self._first, os.urandom(NONCE_BYTES)
        sealed = key.cipher.encrypt(nonce, payload.SerializeToString(), _authenticated(key.id))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key.id.encode()}, data=nonce + sealed)

    def decrypted(self, payload: Payload) -> Payload:
        """The payload as it was before `encrypted`. Raises `UnreadablePayload`."""
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        key = self._keys.get(key_id)
        if key is None:
            raise UnreadablePayload(
                f"A payload was encrypted with the key {key_id!r}, which BACKOFFICE_PAYLOAD_KEYS of this process does "
                f"not hold (it holds {', '.join(self._keys)}). Add that key behind the others; nothing is lost."
            )
        nonce, sealed = payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:]
        try:
            return Payload.FromString(key.cipher.decrypt(nonce, sealed, _authenticated(key_id)))
        except (InvalidTag, ValueError, DecodeError):
            raise UnreadablePayload(
                f"A payload of the key {key_id!r} was changed, or another key stands under that id."
            ) from None


def _authenticated(key_id: str) -> bytes:
    """What the cipher authenticates beside the data: a payload under another key's id is refused."""
    return ENCODING + b"\0" + key_id.encode()


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
