"""Idempotency-Key: a client that lost our answer asks again and gets that answer, not a second order.

The rules:

- The first request with a key claims it with a lease of 30 seconds. While the lease runs, the same request again is a
  409; a process that dies in between loses its lease, and the next request with the key does the work.
- The answer is saved in the transaction that does the work. There is no moment at which the order exists and the
  answer does not, so a kill between commit and reply cannot make a second order.
- The same key with another method, address or body is a 422.
- Only answers that did something are kept. A refusal stored nothing, so it frees the key: the mended request, or the
  same one at a better moment, may use it again.
- A key belongs to the user who sent it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import Error, connection, transaction
from django.db.models import QuerySet
from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from orders.api.problems import IN_PROGRESS, KEY_REUSED, Refused, refuse_field
from orders.models import IdempotencyRecord
from orders.services import saved_answers

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"
LEASE = timedelta(seconds=30)
KEY = re.compile(r"[ -~]{1,255}")

# One statement, so that of many requests with one key exactly one gets a row back. The times are PostgreSQL's: web
# servers whose clocks differ must agree on when a lease ends.
CLAIM = """
    INSERT INTO orders_idempotencyrecord AS held (key, user_id, route, request_hash, locked_until, created_at)
    VALUES (%(key)s, %(user)s, %(route)s, %(hash)s, clock_timestamp() + %(lease)s, now())
    ON CONFLICT (user_id, key) DO UPDATE SET
        route = excluded.route, request_hash = excluded.request_hash, locked_until = excluded.locked_until
    WHERE held.status_code IS NULL AND held.locked_until <= clock_timestamp()
    RETURNING id, locked_until
"""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a request that did something says: status, body, and where the thing is to be found."""

    status: int
    body: Any
    location: str


@dataclass(frozen=True, kw_only=True)
class Claim:
    record_id: int
    #: the end of our lease; whoever takes over writes another one, which makes it our fencing token too
    locked_until: datetime


def answer_once(request: Request, work: Callable[[], Answer], *, key_required: bool) -> HttpResponse:
    """Run `work` in one transaction with the record of its answer, or give the answer of the earlier request.

    Raises `Refused`, and whatever `work` raises; then nothing is stored and the key is free.
    """
    key = _key(request, required=key_required)
    if key is None:
        with transaction.atomic():
            return _as_response(work())
    claimed = _claim(request, key)
    if isinstance(claimed, IdempotencyRecord):
        return _replay(claimed)
    try:
        with transaction.atomic():
            answer = work()
            response = _as_response(answer)
            _save(claimed, answer, response)
            return response
    except BaseException:
        # Without a database the lease frees the key by itself.
        with suppress(Error):
            _ours(claimed).delete()
        raise


def _key(request: Request, *, required: bool) -> str | None:
    given = request.headers.get(HEADER)
    if given is None and not required:
        return None
    if not given:
        raise refuse_field(
            HEADER, f"The header {HEADER} is needed: a text of your own, new for each order.", "required"
        )
    if not KEY.fullmatch(given):
        raise refuse_field(HEADER, f"The header {HEADER} takes 1 to 255 printable ASCII characters.")
    return given


def _claim(request: Request, key: str) -> Claim | IdempotencyRecord:
    """Our claim on the key, or the record that holds the answer."""
    request_hash = _hash(request)
    values: dict[str, Any] = {
        "key": key,
        "user": request.user.pk,
        "route": f"{request.method} {request.path}"[:200],
        "hash": request_hash,
        "lease": LEASE,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, values)
        row = cursor.fetchone()
    if row is not None:
        return Claim(record_id=row[0], locked_until=row[1])
    record = IdempotencyRecord.objects.filter(user=request.user.pk, key=key).first()
    if record is not None and record.request_hash != request_hash:
        raise Refused(KEY_REUSED, f"{HEADER} {key} was used for another request; take a new key for this one.")
    if record is None or record.status_code is None:
        raise Refused(
            IN_PROGRESS, "The first request with this key is still being answered.", headers={"Retry-After": "1"}
        )
    return record


def _hash(request: Request) -> str:
    """The request's identity: method, address and what the body means (spaces and the order of keys do not count)."""
    data = request.data
    body = data if isinstance(data, bytes) else json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.sha256(f"{request.method} {request.get_full_path()}\n".encode() + body).hexdigest()


def _as_response(answer: Answer) -> HttpResponse:
    response = HttpResponse(
        JSONRenderer().render(answer.body), status=answer.status, content_type=JSONRenderer.media_type
    )
    response["Location"] = answer.location
    return response


def _ours(claim: Claim) -> QuerySet[IdempotencyRecord]:
    """The record, unless someone took over after our lease."""
    return IdempotencyRecord.objects.filter(pk=claim.record_id, locked_until=claim.locked_until, status_code=None)


def _save(claim: Claim, answer: Answer, response: HttpResponse) -> None:
    # The body is kept as text: jsonb would give it back with its keys in another order.
    saved = _ours(claim).update(
        status_code=answer.status,
        body=saved_answers.seal(claim.record_id, answer.location, response.content.decode()),
        locked_until=None,
    )
    if not saved:
        raise Refused(IN_PROGRESS, "Another request with this key took over.", headers={"Retry-After": "1"})


def _replay(record: IdempotencyRecord) -> HttpResponse:
    location, text = saved_answers.unseal(record)
    response = HttpResponse(text, status=record.status_code, content_type=JSONRenderer.media_type)
    response["Location"] = location
    response[REPLAYED_HEADER] = "true"
    return response
