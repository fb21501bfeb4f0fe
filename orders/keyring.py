"""Keys from the configuration, and the one way in which something is encrypted with them.

A ring is "id:base64key,id2:base64key": the first key encrypts, all of them decrypt, and each text carries the id of its
key. So a key is replaced by putting a new one in front, and nothing that was stored before becomes unreadable.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
#: of a file in one block, and what stands in the table for it
BLOCK_BYTES = 1 << 20
SEALED_BLOCK_BYTES = NONCE_BYTES + BLOCK_BYTES + TAG_BYTES
KEY_ID_WORDS = re.compile(r"[A-Za-z0-9._-]{1,64}")


class InvalidKeys(ValueError):
    """The configured keys cannot be used; the message names the entry, never the key."""


class Unreadable(Exception):
    """Something encrypted cannot be read: the key is missing, is another one, or the text was changed or moved."""


@dataclass(frozen=True, kw_only=True)
class Key:
    id: str
    secret: bytes = field(repr=False)

    @cached_property
    def cipher(self) -> AESGCM:
        return AESGCM(self.secret)


def parse_keys(text: str) -> tuple[Key, ...]:
    """The keys of "id:base64key,id2:base64key", in order. Raises `InvalidKeys`."""
    keys: list[Key] = []
    for number, entry in enumerate(text.split(",") if text.strip() else [], start=1):
        key_id, _, secret = entry.strip().partition(":")
        if not KEY_ID_WORDS.fullmatch(key_id):
            raise InvalidKeys(f"entry {number} has no id of 1 to 64 letters, digits, '.', '_' or '-' before its ':'")
        if key_id in {key.id for key in keys}:
            raise InvalidKeys(f"the id {key_id} stands there twice")
        keys.append(Key(id=key_id, secret=_secret(key_id, secret)))
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


def encrypt(secret: bytes, plain: bytes | memoryview, *, place: str) -> bytes:
    """AES-256-GCM. `place` says where the text belongs (table, column, row); moved elsewhere it cannot be read."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + AESGCM(secret).encrypt(nonce, plain, place.encode())


def decrypt(secret: bytes, sealed: bytes, *, place: str) -> bytes:
    """The plain text. Raises `Unreadable`."""
    try:
        return AESGCM(secret).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError):
        raise Unreadable(f"{place} was changed or moved, or was encrypted with another key.") from None


def encrypt_blocks(secret: bytes, plain: bytes, *, place: str) -> bytes:
    """A file, block by block, so that one is read without the others; none can be moved or left out."""
    count = -(-len(plain) // BLOCK_BYTES)
    view, sealed = memoryview(plain), bytearray()
    for number in range(count):
        block = view[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        sealed += encrypt(secret, block, place=_block_place(place, number, count))
    return bytes(sealed)


def decrypt_block(secret: bytes, sealed: bytes, *, place: str, number: int, count: int) -> bytes:
    """One of the blocks, the first being 0. Raises `Unreadable`."""
    return decrypt(secret, sealed, place=_block_place(place, number, count))


def blocks_in(size: int) -> int:
    """Of an encrypted file of so many bytes."""
    return -(-size // SEALED_BLOCK_BYTES)


def sealed_size(size: int) -> int:
    """How many bytes `encrypt_blocks` makes of so many."""
    return size + -(-size // BLOCK_BYTES) * (NONCE_BYTES + TAG_BYTES)


def _block_place(place: str, number: int, count: int) -> str:
    return f"{place}, block {number + 1} of {count}"


@dataclass(frozen=True, kw_only=True)
class Keyring:
    """The keys of one setting; `name` is the environment variable, for the messages."""

    name: str
    keys: tuple[Key, ...]

    def encrypt(self, plain: bytes, *, place: str) -> tuple[str, bytes]:
        """The id of the first key, and the text encrypted with it."""
        first = self.keys[0]
        return first.id, encrypt(first.secret, plain, place=place)

    def decrypt(self, key_id: str, sealed: bytes, *, place: str) -> bytes:
        """The plain text. Raises `Unreadable`, which says which key is missing or wrong."""
        secret = next((key.secret for key in self.keys if key.id == key_id), None)
        if secret is None:
            held = ", ".join(key.id for key in self.keys)
            raise Unreadable(
                f"{place} was encrypted with the key {key_id!r}, which {self.name} does not hold (it holds {held}). "
                "Add that key behind the others; nothing is lost."
            )
        try:
            return decrypt(secret, sealed, place=place)
        except Unreadable:
            raise Unreadable(
                f"{place} was changed or moved, or {self.name} holds another key under the id {key_id!r}."
            ) from None

    def digests(self, text: str, *, purpose: str) -> list[str]:
        """Keyed digests of `text`, the one of the first key first: to find a text again without storing it."""
        return [hmac.new(key.secret, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest() for key in self.keys]

    def sign(self, text: str, *, purpose: str) -> str:
        """ "key id:digest" with the first key: `text` was written by somebody who holds it."""
        return f"{self.keys[0].id}:{self.digests(text, purpose=purpose)[0]}"

    def is_signed(self, text: str, digest: str, *, purpose: str) -> bool:
        """Whether `digest` is that of `text` under the key that it names."""
        signatures = zip(self.keys, self.digests(text, purpose=purpose), strict=True)
        return any(hmac.compare_digest(f"{key.id}:{made}", digest) for key, made in signatures)


@lru_cache(maxsize=8)
def keyring(name: str, text: str) -> Keyring:
    """The ring of a setting. Raises `InvalidKeys`."""
    return Keyring(name=name, keys=parse_keys(text))
