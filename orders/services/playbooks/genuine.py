"""Whether a stored version is what was saved and published here: its keyed digest says so, wherever it is used."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC
from typing import Any

from orders import signing
from orders.errors import WrongState
from orders.models import PlaybookVersion

PURPOSE = "orders_playbookversion"


def sign(version: PlaybookVersion) -> str:
    """The digest of the version as it stands now; to be saved with every change of it."""
    return signing.sign(PURPOSE, _covered(version))


def require_genuine(version: PlaybookVersion) -> None:
    """Raises `WrongState` for a version that was written past this program."""
    if not signing.is_signed(PURPOSE, _covered(version), version.keyed_digest):
        raise WrongState(
            f"Version {version.number} of the playbook {version.playbook.slug} was changed past this program: its "
            "digest does not fit. Nothing of it is done; a lead must look where it came from."
        )


def digests_with(version: PlaybookVersion, texts: dict[str, Any]) -> dict[str, str]:
    """The digests of a version of which an erasure takes words out, by column; without those that did not hold."""
    is_genuine = signing.is_signed(PURPOSE, _covered(version), version.keyed_digest)
    is_hashed = version.hash == hash_of(version.document)
    version.document, version.title = texts.get("document", version.document), texts.get("title", version.title)
    digests = {"keyed_digest": sign(version)} if is_genuine else {}
    return digests | ({"hash": hash_of(version.document)} if is_hashed and "document" in texts else {})


def hash_of(document: Any) -> str:
    """sha256 of the canonical document (sorted keys, no spaces)."""
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _covered(version: PlaybookVersion) -> list[Any]:
    published_at = version.published_at.astimezone(UTC).isoformat() if version.published_at else None
    what = [str(version.playbook_id), version.number, version.document, version.title]
    return [*what, str(version.status), version.published_by_id, published_at]
