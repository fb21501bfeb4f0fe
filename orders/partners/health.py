"""What our calls tell about a partner, written where every page can read it.

Also the guard against the costliest mistake around partners: calling one while a database transaction is open. Locks
would be held for as long as the partner likes, and a rollback could not take the call back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from orders.errors import PartnerUnavailable
from orders.models import PartnerHealth
from orders.vocabulary import PartnerCode

#: a good answer is written down at most this often, so that the row does not become a queue of writers
OK_RESOLUTION = timedelta(seconds=5)


@contextmanager
def observed(partner: PartnerCode) -> Iterator[None]:
    """Around one call: note whether the partner answered. Raises RuntimeError inside an open transaction.

    A refusal (a decline, an address not served) is an answer; only `PartnerUnavailable` counts against the partner.
    """
    with transaction.atomic(durable=True):
        known, _ = PartnerHealth.objects.get_or_create(partner=partner)
    row = PartnerHealth.objects.filter(pk=partner)
    try:
        yield
    except PartnerUnavailable as error:
        row.update(
            last_error_at=timezone.now(), last_error=str(error)[:300], failures_in_a_row=F("failures_in_a_row") + 1
        )
        raise
    now = timezone.now()
    if known.failures_in_a_row or known.last_ok_at is None or now - known.last_ok_at > OK_RESOLUTION:
        row.update(last_ok_at=now, failures_in_a_row=0)
