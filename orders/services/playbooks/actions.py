"""What each entry of the catalogue does: one function each, inside the transaction that closes the step.

Nearly everything is rows of ours (a refund, too, is a row that a process of its own sends), so effect and "done" commit
together and happen once. What leaves our database goes through `PREPARE` first, outside of any transaction, under a key
that is the step's own.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orders import clock, history
from orders.actor import Actor, person
from orders.errors import InvalidInput, WrongState
from orders.models import Approval, Order, OrderTag, PlaybookRun, Voucher
from orders.partners import endpoints
from orders.playbooks.catalogue import CATALOGUE
from orders.playbooks.definition import ActivityCall, ValueType
from orders.playbooks.validation import problem_of
from orders.services import alone, cancelling, holding, notices, placing, refunding, tasks
from orders.services.playbooks import making, places
from orders.vocabulary import Channel, EventType, NoticeStatus, OrderStatus, TaskKind, TaskLevel

#: where a country may still be corrected
BEFORE_SHIPPING = frozenset(
    {OrderStatus.PLACED, OrderStatus.QUEUED, OrderStatus.IN_REVIEW, OrderStatus.ON_HOLD, OrderStatus.CHARGING}
)
EMPTY: Mapping[ValueType, Any] = {ValueType.STRING: "", ValueType.INT: 0, ValueType.BOOL: False}
Work = Callable[[Order, dict[str, Any], Any, str, Actor], dict[str, Any]]


def acting_for(run: PlaybookRun, engine: Actor, name: str) -> Actor:
    """The person a run acts for, with their permissions of now, at the place where the engine acts.

    For the entry `name` of the catalogue: one that gives money knows everybody who made it happen.
    """
    who = person(run.started_by, Channel.ENGINE)
    return replace(
        who,
        name=f"{who.name} by {run.version}"[:150],
        makers=making.makers_of(run) if CATALOGUE[name].gives_money else (),
        workflow_id=engine.workflow_id,
        run_id=engine.run_id,
        attempt=engine.attempt,
    )


def parameters_of(call: ActivityCall, place: places.Place, run: PlaybookRun) -> dict[str, Any]:
    """The values that the entry is called with. Raises `EvaluationFailed`, or `InvalidInput` for a computed value."""
    found: dict[str, Any] = {}
    for one in CATALOGUE[call.activity].parameters:
        given = call.parameters.get(one.name)
        value = EMPTY[one.type] if given is None else places.value_of(given, place, run)
        problem = problem_of(one, value) if given is not None else None
        if problem is not None:
            raise InvalidInput(f"parameters.{one.name}", f"{one.name}: {problem}")
        found[one.name] = value
    return found


def prepare(name: str, run: PlaybookRun, parameters: dict[str, Any], *, key: str, actor: Actor) -> Any:
    """The part that leaves our database, if the entry has one. Asks for the entry's permission first."""
    actor.require(CATALOGUE[name].permission)
    work = PREPARE.get(name)
    return work(run, parameters, key) if work is not None else None


def carry_out(
    name: str, order: Order, parameters: dict[str, Any], prepared: Any, *, key: str, actor: Actor
) -> dict[str, Any]:
    """Do it, in the caller's transaction and under the order's lock; answers the results that later steps may read."""
    return WORK[name](order, parameters, prepared, key, actor)


def _add_note(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    history.record(order, EventType.NOTE_ADDED, actor=actor, reason=given["text"])
    return {}


def _add_tag(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    _, new = OrderTag.objects.get_or_create(order=order, tag=given["tag"], defaults={"made_by": actor.name})
    if new:
        history.record(order, EventType.TAG_ADDED, actor=actor, reason=given["tag"])
    return {}


def _remove_tag(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    gone, _count = OrderTag.objects.filter(order=order, tag=given["tag"]).delete()
    if gone:
        history.record(order, EventType.TAG_REMOVED, actor=actor, reason=given["tag"])
    return {}


def _hold(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    holding.hold(order.number, actor=actor, reason=given["reason"])
    return {}


def _release(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    holding.release(order.number, actor=actor, reason=given["reason"])
    return {}


def _start(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    placing.start(order.number, actor=actor, reason=given["reason"])
    return {}


def _cancel(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    cancelling.cancel(order.number, actor=actor, reason=given["reason"])
    return {}


def _refund(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    asked = refunding.request(order.number, amount_minor=given["amount_minor"], actor=actor, reason=given["reason"])
    return {"waits_for_second": isinstance(asked, Approval)}


def _issue_voucher(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    # The order's lock is held, so nobody else issues the same one between look and insert.
    voucher = Voucher.objects.filter(key=key).first()
    if voucher is None:
        alone.require_voucher(order, given["amount_minor"], actor=actor)
        voucher = Voucher.objects.create(
            key=key,
            code=f"V-{secrets.token_hex(6).upper()}",
            order=order,
            amount_minor=given["amount_minor"],
            currency=order.currency,
            reason=given["reason"],
            made_by=actor.name,
            issued_by_id=actor.user.pk if actor.user is not None else None,
        )
        data = {"amount_minor": voucher.amount_minor}
        history.record(order, EventType.VOUCHER_ISSUED, actor=actor, reason=given["reason"], data=data)
    return {"code": voucher.code}


def _withdraw_voucher(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    gone = Voucher.objects.filter(order=order, code=given["code"], withdrawn_at=None).update(withdrawn_at=clock.now())
    if gone:
        history.record(order, EventType.VOUCHER_WITHDRAWN, actor=actor, reason=given["reason"])
    return {}


def _mail(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    # A line break in a subject would begin another header.
    subject = " ".join(given["subject"].split())
    notice = notices.message(order, subject=subject, text=given["text"], key=key)
    queued = notice.status == NoticeStatus.QUEUED
    why = "" if queued else notice.note
    history.record(order, EventType.MAIL_ASKED, actor=actor, reason=why or subject, data={"notice": str(notice.pk)})
    return {"queued": queued, "why_not": why}


def _open_task(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    level = TaskLevel(given["level"])
    tasks.open_task(TaskKind.PLAYBOOK, order, level=level, says=given["says"], actor=actor)
    return {}


def _change_country(order: Order, given: dict[str, Any], _: Any, key: str, actor: Actor) -> dict[str, Any]:
    if order.status not in BEFORE_SHIPPING:
        raise WrongState(f"Order {order.number} is {order.status}; its country can be corrected before it ships.")
    before, order.ship_to_country = order.ship_to_country, given["country"]
    history.record(
        order,
        EventType.COUNTRY_CHANGED,
        actor=actor,
        reason=given["reason"],
        data={"before": before, "after": order.ship_to_country},
        save=("ship_to_country",),
    )
    return {"before": before}


def _call_partner(order: Order, given: dict[str, Any], answer: Any, key: str, actor: Actor) -> dict[str, Any]:
    history.record(order, EventType.PARTNER_CALLED, actor=actor, reason=given["endpoint"])
    return {"answer": answer}


def _ask_partner(run: PlaybookRun, given: dict[str, Any], key: str) -> str:
    return endpoints.call(given["endpoint"], order=run.order.number, text=given["text"], key=key)


PREPARE: Mapping[str, Callable[[PlaybookRun, dict[str, Any], str], Any]] = {"call_partner": _ask_partner}

WORK: Mapping[str, Work] = {
    "add_note": _add_note,
    "add_tag": _add_tag,
    "remove_tag": _remove_tag,
    "hold_order": _hold,
    "release_order": _release,
    "start_order": _start,
    "cancel_order": _cancel,
    "refund_order": _refund,
    "issue_voucher": _issue_voucher,
    "withdraw_voucher": _withdraw_voucher,
    "mail_customer": _mail,
    "open_task": _open_task,
    "change_country": _change_country,
    "call_partner": _call_partner,
}
