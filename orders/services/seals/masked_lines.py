"""What an erasure took out of rows that a seal covers.

The seal holds a hash over each row as it was written. For a row that an erasure reached, a note keeps the hash of what
it was and of what it is since, and the seal is compared with the first while the second fits. Whoever rewrites a row
and its seal's note is found by the note's digest, whose key is not in the database.
"""

from __future__ import annotations

from collections.abc import Iterator

from orders import signing
from orders.models import MaskedLine
from orders.paging import pages

PURPOSE = "orders_maskedline"
AT_ONCE = 1_000
#: the tables whose masked columns, or the digests of them, a seal covers: name of the log, when a row was written
#: (migration 0113)
LOGS = {
    "axes_accessfailurelog": ("failed_sign_ins", "attempt_time"),
    "axes_accesslog": ("sign_ins", "attempt_time"),
    "django_admin_log": ("admin", "action_time"),
    "orders_approval": ("approvals", "requested_at"),
    "orders_playbookversion": ("playbook_versions", "created_at"),
    "orders_refusedaction": ("refused_actions", "first_at"),
}


def sign(log: str, row_key: str, *, before: str, after: str) -> None:
    """Sign the note that the database made of a row, unless an earlier note of the row was not ours."""
    line = MaskedLine.objects.get(log=log, row_key=row_key)
    begins_here = line.before_hash == before
    if begins_here or _is_signed(line, after=before):
        line.keyed_digest = signing.sign(PURPOSE, _covered(line, after))
        line.save(update_fields=["keyed_digest"])


def not_ours() -> Iterator[MaskedLine]:
    """Notes of erasures that this program did not make."""
    return (line for line in pages(MaskedLine.objects.all(), AT_ONCE) if not _is_signed(line, after=line.after_hash))


def _is_signed(line: MaskedLine, *, after: str) -> bool:
    return signing.is_signed(PURPOSE, _covered(line, after), line.keyed_digest)


def _covered(line: MaskedLine, after: str) -> list[str]:
    return [line.log, line.row_key, line.before_hash, after]
