"""The worker and the web server with one guard taken away, for the runs that must find violations.

A guard whose removal nothing notices is not a guard. It is taken away from outside, by replacing a function before the
process starts: the product itself has no switch that turns its safety off. A name that is gone, or takes other
parameters by now, fails at the start, so a control cannot go on testing nothing.

`backoffice.chaos.worker` is the worker, `backoffice.chaos.unguarded:web` the web server.
"""

import asyncio
import dataclasses
import inspect
import logging
import os
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar
from unittest import mock
from uuid import uuid4

import django
from django.core.asgi import get_asgi_application
from django.db import transaction
from temporalio.api.common.v1 import Payload

T = TypeVar("T")
logger = logging.getLogger(__name__)


def replace(owner: Any, name: str, by: Callable[..., Any]) -> None:
    """Put `by` in the place of a function. Raises RuntimeError when it could not be called as the function is.

    A stand-in that is called with a parameter it does not know fails every request, and the run then finds violations
    that have nothing to do with the guard.
    """
    wanted, given = inspect.signature(getattr(owner, name)).parameters, inspect.signature(by).parameters
    if [(one.name, one.kind) for one in wanted.values()] != [(one.name, one.kind) for one in given.values()]:
        raise RuntimeError(f"{name} takes ({', '.join(wanted)}) by now; this control tests nothing until it does too")
    mock.patch.object(owner, name, by).start()


def without_fence() -> None:
    """Whoever comes may commit: stale attempts, and steps that were undone."""
    from orders import fence

    anybody = fence.CLAIM.replace("WHERE orders_step.status = 'open'", "WHERE orders_step.status <> 'done'")
    if anybody == fence.CLAIM:
        raise RuntimeError("the claim no longer says that a step must be open; this control tests nothing")
    mock.patch.object(fence, "CLAIM", anybody).start()
    replace(fence, "_require", lambda step, held: None)


def without_business_key() -> None:
    """Each attempt asks the gateway under a key of its own and does not look what an earlier one did."""
    from orders import fence
    from orders.partners import payments as gateway
    from orders.services import payments

    confirm = gateway.confirm

    def fresh_intent(held: fence.Claim, payment: Any) -> gateway.Intent:
        intent = gateway.create_intent(
            key=str(uuid4()),
            order=held.order_id,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            payment_method=payment.order.payment_method,
        )
        with fence.progress(held):
            payment.gateway_reference = intent.id
            payment.save(update_fields=["gateway_reference", "updated_at"])
        return intent

    replace(payments, "_open_intent", fresh_intent)
    replace(gateway, "confirm", lambda intent_id, *, key: confirm(intent_id, key=str(uuid4())))


def without_outbox() -> None:
    """The request starts the workflow itself, right after its commit, as most tutorials do.

    The sweep would find such a lost start within a minute and hand it over again, so it looks away.
    """
    from orders import outbox
    from orders.services.sweeping import processes
    from orders.vocabulary import Topic

    def start_after_commit(
        topic: Topic,
        *,
        aggregate: str,
        body: dict[str, Any],
        due_at: datetime | None = None,
        after: timedelta = timedelta(),
        bulk: bool = False,
    ) -> None:
        # robust: the order is stored, so the client is told yes whatever comes of this.
        transaction.on_commit(lambda: asyncio.run(_start(topic, body)), robust=True)

    replace(outbox, "publish", start_after_commit)
    replace(processes, "_settle_gone", lambda order, seen, *, repairs, actor: False)


async def _start(topic: str, body: dict[str, Any]) -> None:
    from orders.vocabulary import Topic
    from temporal_app.client import connect
    from temporal_app.starter import DELIVER

    await DELIVER[Topic(topic)](await connect(), body)


def without_shield() -> None:
    """A cancellation that comes during the undo cancels the undo."""
    from temporal_app.workflows import saga

    async def bare(work: Coroutine[Any, Any, T]) -> T:
        return await work

    replace(saga, "shielded", bare)


def without_state() -> None:
    """Whatever the gateway answers to a confirmation is taken for money."""
    from orders.partners import payments as gateway

    confirm = gateway.confirm

    def believed(intent_id: str, *, key: str) -> gateway.Intent:
        intent = confirm(intent_id, key=key)
        paid = gateway.PaymentState.SUCCEEDED
        return dataclasses.replace(intent, status=paid, received_minor=intent.amount_minor)

    replace(gateway, "confirm", believed)


def without_authenticity() -> None:
    """What comes from Temporal is believed: plain payloads, those written for something else, and empty answers."""
    from temporal_app import authenticity
    from temporal_app.codec import ENCODING, PROOF, WORDS, EncryptionCodec, UnreadablePayload

    def decoded(self: EncryptionCodec, payload: Payload) -> Payload:
        opened = Payload()
        try:
            opened.CopyFrom(self.displayed(payload))
        except UnreadablePayload:
            opened.CopyFrom(payload)
        if payload.metadata.get("encoding") != ENCODING:
            logger.warning("Believed what nobody of ours wrote")
        opened.metadata[PROOF] = WORDS
        return opened

    replace(EncryptionCodec, "_decoded", decoded)
    replace(authenticity, "believed", lambda act, info, signals, again: [])


def without_predecessor() -> None:
    """No effect asks the database for what must have come before.

    Forged answers alone lead nobody to it, since they are refused before: so they are believed too. Each of the two
    guards stops a stranger without the other.
    """
    from orders.services import predecessors

    without_authenticity()
    replace(predecessors, "require_due", lambda order, name: None)


REMOVALS: dict[str, Callable[[], None]] = {
    "fence": without_fence,
    "business_key": without_business_key,
    "outbox": without_outbox,
    "shield": without_shield,
    "state": without_state,
    "predecessor": without_predecessor,
    "authenticity": without_authenticity,
}


def take_away() -> None:
    """Remove the guard of BACKOFFICE_DISABLE_GUARD; refuses to run outside a chaos run."""
    if os.environ.get("BACKOFFICE_ENV") != "chaos":
        raise SystemExit("A guard can be taken away in a chaos run only (BACKOFFICE_ENV=chaos).")
    guard = os.environ["BACKOFFICE_DISABLE_GUARD"]
    django.setup()
    REMOVALS[guard]()
    logger.warning("This process runs WITHOUT the guard %s", guard)


def web() -> Any:
    """The ASGI application, for `uvicorn --factory`."""
    take_away()
    return get_asgi_application()
