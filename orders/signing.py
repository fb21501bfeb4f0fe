"""Keyed digests of rows on which money and other people's work hang.

A hash that stands in the row it covers proves nothing to whoever can write the row: they write both. These digests
need the keys of `BACKOFFICE_DIGEST_KEYS`, which are in the environment of web and worker and never in the database. The
first key signs, all of them verify, so a key is replaced by putting a new one in front.
"""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings

from orders import keyring

KEYS_VARIABLE = "BACKOFFICE_DIGEST_KEYS"
#: characters of a key's id, a colon and 64 hexadecimal digits
DIGEST_LENGTH = 140


def sign(purpose: str, fields: list[Any]) -> str:
    """ "key id:digest" of what the fields say; `purpose` names table and use, so that no digest fits elsewhere."""
    return keys().sign(_canonical(fields), purpose=purpose)


def is_signed(purpose: str, fields: list[Any], digest: str) -> bool:
    return keys().is_signed(_canonical(fields), digest, purpose=purpose)


def keys() -> keyring.Keyring:
    """Raises `InvalidKeys`."""
    return keyring.keyring(KEYS_VARIABLE, settings.DIGEST_KEYS)


def _canonical(fields: list[Any]) -> str:
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
