"""One call of a run: ask the partner, and write down what became of it.

A call that its partner refuses has failed, and that is its result; the run goes on. A partner that is out of order is
no result: the call waits, however long. Between the two is a question that the partner leaves unanswered again and
again while it answers others: after `PARTNER_CALL_TRIES` of them it has failed too, or one bad parcel would keep a run
open for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.conf import settings
from django.db.models import F

from orders import clock
from orders.actor import Actor
from orders.errors import DomainError, PartnerUnavailable
from orders.models import PartnerCall
from orders.services import partner_answers, tracking
from orders.services.partner_answers import Answer
from orders.vocabulary import PartnerCallStatus, PartnerCode, PartnerRunStatus


def pending(run_id: UUID, *, limit: int) -> list[int]:
    """The next calls without a result; none when the run has ended."""
    calls = PartnerCall.objects.filter(
        run=run_id, run__status=PartnerRunStatus.RUNNING, status=PartnerCallStatus.PENDING
    )
    return list(calls.order_by("pk").values_list("pk", flat=True)[:limit])


def make(call_id: int, *, actor: Actor) -> None:
    """Make the call unless it has its result or its run was cancelled. Raises `PartnerUnavailable` (retry)."""
    mine = PartnerCall.objects.filter(
        pk=call_id, status=PartnerCallStatus.PENDING, run__status=PartnerRunStatus.RUNNING
    )
    if not mine.update(attempts=F("attempts") + 1):
        return
    call = PartnerCall.objects.select_related("run").get(pk=call_id)
    try:
        outcome = ASK[PartnerCode(call.run.partner)](call.subject, actor)
    except PartnerUnavailable as error:
        if _is_hopeless(call, error):
            give_up(call_id, error_type=error.failure_type, message=str(error))
            return
        raise
    except DomainError as error:
        give_up(call_id, error_type=error.failure_type, message=str(error))
    else:
        _end(call_id, PartnerCallStatus.DONE, outcome=outcome[:200], error_type="", error_message="")


def give_up(call_id: int, *, error_type: str, message: str) -> None:
    """The call has failed for good; `message` is the sentence of the root cause."""
    _end(call_id, PartnerCallStatus.FAILED, error_type=error_type[:40] or "unexpected", error_message=message[:500])


def _end(call_id: int, status: PartnerCallStatus, **result: str) -> None:
    open_call = PartnerCall.objects.filter(pk=call_id, status=PartnerCallStatus.PENDING)
    open_call.update(status=status, finished_at=clock.now(), **result)


def _is_hopeless(call: PartnerCall, error: PartnerUnavailable) -> bool:
    """Note the failure. One with `retry_after` says that the partner answers nobody, and does not count."""
    counts = error.retry_after is None
    PartnerCall.objects.filter(pk=call.pk).update(
        failures=F("failures") + int(counts), error_type=error.failure_type, error_message=str(error)[:500]
    )
    return counts and call.failures + 1 >= settings.PARTNER_CALL_TRIES


def _tracking(reference: str, actor: Actor) -> str:
    return tracking.refresh(reference, actor=actor)


def _rates(base: str, actor: Actor) -> str:
    return _said(partner_answers.exchange_rates(base))


def _address(country: str, actor: Actor) -> str:
    answer = partner_answers.address_check(country)
    return f"{_said(answer)}: {answer.body['says']}"


def _said(answer: Answer) -> str:
    at = f"{answer.fetched_at:%d %b %H:%M} UTC"
    return f"Stale, of {at}: {answer.stale_because}" if answer.is_stale else f"Fresh, of {at}"


ASK: dict[PartnerCode, Callable[[str, Actor], str]] = {
    PartnerCode.CARRIER: _tracking,
    PartnerCode.RATES: _rates,
    PartnerCode.ADDRESSES: _address,
}
