"""Playbooks that the product comes with: procedures that shops, wholesalers and marketplaces have in some form.

They are ordinary documents, installed as published versions by `manage.py bootstrap`; staff save a version of their own
to change one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Steps = list[dict[str, Any]]


def _do(step_id: str, activity: str, *, undo: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    parameters = more.pop("parameters", {})
    step: dict[str, Any] = {"type": "activity", "id": step_id, "activity": activity, "parameters": parameters, **more}
    return {**step, "undo": undo} if undo else step


def _call(activity: str, **parameters: Any) -> dict[str, Any]:
    return {"activity": activity, "parameters": parameters}


def _note(step_id: str, text: str) -> dict[str, Any]:
    return _do(step_id, "add_note", parameters={"text": text})


def _tag(step_id: str, tag: str) -> dict[str, Any]:
    return _do(step_id, "add_tag", parameters={"tag": tag}, undo=_call("remove_tag", tag=tag))


def _hold(step_id: str, reason: str) -> dict[str, Any]:
    return _do(
        step_id,
        "hold_order",
        parameters={"reason": reason},
        undo=_call("release_order", reason="The playbook was undone"),
    )


def _if(step_id: str, condition: str, then: Steps, otherwise: Steps | None = None, **more: Any) -> dict[str, Any]:
    step = {"type": "conditional", "id": step_id, "condition": condition, "then": then, **more}
    return {**step, "otherwise": otherwise} if otherwise else step


def _ask(step_id: str, question: str, *options: str, default: str, hours: int = 24) -> dict[str, Any]:
    return {
        "type": "ask",
        "id": step_id,
        "question": question,
        "options": list(options),
        "default": default,
        "deadline_seconds": hours * 3600,
    }


LATE_DELIVERY = {
    "title": "Late delivery apology",
    "description": "A voucher and a note for an order that is late; a refund of a part when it is very late.",
    "inputs": [
        {"name": "hours_late", "type": "int", "label": "Hours late"},
        {"name": "voucher_minor", "type": "int", "label": "Voucher, minor units", "default": 500},
    ],
    "steps": [
        _tag("mark", "late"),
        _do(
            "voucher",
            "issue_voucher",
            title="Voucher for the customer",
            parameters={"amount_minor": "=inputs.voucher_minor", "reason": "Late delivery"},
            undo=_call("withdraw_voucher", code="=results.voucher.code", reason="The apology was undone"),
        ),
        _if(
            "very_late",
            "inputs.hours_late > 48 && order.refundable_minor >= 500",
            [
                _do(
                    "shipping",
                    "refund_order",
                    title="Refund the shipping",
                    parameters={"amount_minor": 500, "reason": "Delivered more than two days late"},
                )
            ],
        ),
        _do(
            "tell",
            "mail_customer",
            title="Apologise",
            on_failure="continue",
            parameters={
                "subject": '="Your order " + order.number + " is late"',
                "text": '="We are sorry. Please take this voucher for your next order: " + results.voucher.code',
            },
        ),
        _note("told", '=results.tell.queued ? "Apology sent" : "No mail: " + results.tell.why_not'),
    ],
}

ADDRESS_FIX = {
    "title": "Address fix and re-label",
    "description": "Stops the order before it ships, corrects the country, and lets it go on once a person agrees.",
    "inputs": [{"name": "country", "label": "The right country"}],
    "steps": [
        _if(
            "shipped",
            "order.is_shipped",
            [_do("too_late", "open_task", parameters={"says": "It is shipped: ask the carrier.", "level": "agent"})],
            [
                _hold("stop", "The address is being corrected"),
                _do(
                    "correct",
                    "change_country",
                    parameters={"country": "=inputs.country", "reason": "The customer asked for it"},
                    undo=_call("change_country", country="=results.correct.before", reason="The correction was undone"),
                ),
                _ask("agree", "Is the new address right?", "yes", "no", default="no", hours=8),
                _if(
                    "agreed",
                    'results.agree.answer == "yes"',
                    [_do("go_on", "release_order", parameters={"reason": "The address is right"})],
                    [_do("look", "open_task", parameters={"says": "The address is not settled.", "level": "agent"})],
                ),
            ],
        )
    ],
}

CHARGEBACK = {
    "title": "Chargeback evidence",
    "description": "Collects what is known, has a person judge it, and hands it in before the bank's deadline.",
    "inputs": [{"name": "case", "label": "The bank's case number"}],
    "steps": [
        _tag("mark", "chargeback"),
        {
            "type": "parallel",
            "id": "collect",
            "branches": [
                [
                    _note(
                        "money",
                        '="Taken " + string(order.captured_minor) + ", returned " + string(order.refunded_minor)',
                    )
                ],
                [_note("goods", '=order.is_shipped ? "Shipped." : "Not shipped."')],
                [_note("risk", '="Fraud score " + string(order.score)')],
            ],
        },
        _ask("judge", "Contest the chargeback?", "contest", "accept", default="accept", hours=72),
        _if(
            "contest",
            'results.judge.answer == "contest"',
            [
                _do(
                    "hand_in",
                    "call_partner",
                    title="Hand the evidence in",
                    attempts=5,
                    parameters={
                        "endpoint": "chargebacks",
                        "text": '="Case " + inputs.case + ", order " + order.number + ": " + results.judge.note',
                    },
                )
            ],
            [_note("accepted", '="Chargeback " + inputs.case + " accepted"')],
        ),
    ],
}

BACKORDER = {
    "title": "Backorder split",
    "description": "Holds an order that is short of stock, waits for the goods, and asks what to do when they are late",
    "inputs": [{"name": "days", "type": "int", "label": "Days to wait for the goods", "default": 3}],
    "steps": [
        _hold("stop", "It waits for goods"),
        _tag("mark", "backorder"),
        {
            "type": "loop",
            "id": "each_day",
            "condition": 'loop.number <= inputs.days && "backorder" in order.tags',
            "most": 30,
            "body": [
                {
                    "type": "wait",
                    "id": "a_day",
                    "title": "A day, or until the tag is taken away",
                    "seconds": 86_400,
                    "until": '!("backorder" in order.tags)',
                    "every_seconds": 600,
                }
            ],
        },
        _if(
            "still_short",
            '"backorder" in order.tags',
            [
                _ask("what_now", "The goods are late. What now?", "wait", "cancel", default="wait"),
                _if(
                    "give_up",
                    'results.what_now.answer == "cancel"',
                    [_do("cancel", "cancel_order", parameters={"reason": "The goods did not come"})],
                    [_do("call", "open_task", parameters={"says": "Chase the supplier.", "level": "agent"})],
                ),
            ],
            [_do("go_on", "release_order", parameters={"reason": "The goods are here"})],
        ),
    ],
}

VIP = {
    "title": "VIP fast lane",
    "description": "Marks the order, starts it at once, and tells a lead when it is not on its way within an hour.",
    "steps": [
        _tag("mark", "vip"),
        _if(
            "placed",
            'order.status == "placed"',
            [_do("start", "start_order", parameters={"reason": "VIP fast lane"})],
        ),
        {
            "type": "wait",
            "id": "an_hour",
            "seconds": 3_600,
            "until": 'order.is_shipped || order.status == "completed"',
            "every_seconds": 30,
        },
        _if(
            "slow",
            "!results.an_hour.came_true",
            [_do("tell", "open_task", parameters={"says": "A VIP order is not on its way.", "level": "lead"})],
            [_note("fast", "On its way within the hour")],
        ),
    ],
}

RECALL = {
    "title": "Recall of a product",
    "description": "Stops or takes back an order with a recalled product, whatever state it is in.",
    "inputs": [{"name": "sku", "label": "The recalled product"}],
    "steps": [
        _if(
            "concerned",
            "inputs.sku in order.skus",
            [
                _tag("mark", "recall"),
                _if(
                    "shipped",
                    "order.is_shipped",
                    [
                        _do(
                            "fetch",
                            "open_task",
                            parameters={"says": "Recalled goods were shipped: arrange a return.", "level": "lead"},
                        )
                    ],
                    [
                        _hold("stop", "A product of it is recalled"),
                        _ask("what_now", "Cancel the order?", "cancel", "release", default="cancel", hours=48),
                        _if(
                            "decided",
                            'results.what_now.answer == "cancel"',
                            [_do("cancel", "cancel_order", parameters={"reason": "A product of it is recalled"})],
                            [_do("go_on", "release_order", parameters={"reason": "It may ship after all"})],
                        ),
                    ],
                ),
            ],
            [_note("unconcerned", '="It does not hold " + inputs.sku')],
        )
    ],
}

EXAMPLES: Mapping[str, dict[str, Any]] = {
    "late_delivery": LATE_DELIVERY,
    "address_fix": ADDRESS_FIX,
    "chargeback": CHARGEBACK,
    "backorder": BACKORDER,
    "vip_fast_lane": VIP,
    "product_recall": RECALL,
}
