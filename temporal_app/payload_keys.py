"""The keys of the payload codec, as they are configured.

Apart from the codec, because the system check reads them too, and the web starts without loading Temporal's client.
"""

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
KEY_ID_WORDS = re.compile(r"[A-Za-z0-9._-]{1,64}")


class InvalidKeys(ValueError):
    """The configured keys cannot be used; the message names the entry, never the key."""


@dataclass(frozen=True, kw_only=True)
class Key:
    id: str
    cipher: AESGCM


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of "id:base64key,id2:base64key", in order. Raises `InvalidKeys`."""
    keys: list[Key] = []
    for number, entry in enumerate(text.split(",") if text.strip() else [], start=1):
        key_id, _, secret = entry.strip().partition(":")
        if not KEY_ID_WORDS.fullmatch(key_id):
            raise InvalidKeys(f"entry {number} has no id of 1 to 64 letters, digits, '.', '_' or '-' before its ':'")
        if key_id in {key.id for key in keys}:
            raise InvalidKeys(f"the id {key_id} stands there twice")
        keys.append(Key(id=key_id, cipher=AESGCM(_secret(key_id, secret))))
    if not keys:
        raise InvalidKeys("there is no key")
    return tuple(keys)


def _secret(key_id: str, text: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        secret = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except binascii.Error:
        raise InvalidKeys(f"the key {key_id} is not base64") from None
    if len(secret) != KEY_BYTES:
        raise InvalidKeys(f"the key {key_id} has {len(secret)} bytes, not {KEY_BYTES}")
    return secret
