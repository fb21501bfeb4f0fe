"""The table of statuses and transitions is the published one; the official client carries the published words."""

import inspect
import re
import typing
from pathlib import Path

import pytest
import stripe

from simulator import disputes, machine, methods
from simulator.machine import TRANSITIONS, MachineError
from tests.simulator.double import Double

SIMULATOR = Path(machine.__file__).parent
CODE = re.compile(r'(?<!decline_)code="([a-z_]+)"')


def published(owner: type, name: str) -> set[str]:
    """Return the words of an enum in the client, which is generated from the published OpenAPI specification."""
    words: set[str] = set()
    todo = [owner.__annotations__[name]]
    while todo:
        found = todo.pop()
        words |= {word for word in typing.get_args(found) if isinstance(word, str)}
        todo += [part for part in typing.get_args(found) if typing.get_origin(part) is not None]
    return words


@pytest.mark.parametrize(
    ("ours", "owner"),
    [
        (machine.INTENT_STATUSES, stripe.PaymentIntent),
        (machine.CHARGE_STATUSES, stripe.Charge),
        (machine.DISPUTE_STATUSES, stripe.Dispute),
    ],
)
def test_the_statuses_are_the_published_ones(ours: tuple[str, ...], owner: type) -> None:
    assert set(ours) == published(owner, "status")


def test_the_statuses_of_refunds_are_those_of_the_clients_documentation() -> None:
    told = re.search(r"Status of the refund\. This can be (.*?)\. ", inspect.getsource(stripe.Refund))
    assert told is not None
    assert set(machine.REFUND_STATUSES) == set(re.findall(r"`([a-z_]+)`", told[1]))


def test_the_types_of_events_are_published_ones() -> None:
    assert set(machine.EVENT_TYPES) <= published(stripe.Event, "type")


def test_every_error_code_is_a_published_one() -> None:
    known = published(stripe.PaymentIntent.LastPaymentError, "code")
    # The other partners, and what is refused before it is known whose call it is, have codes of their own.
    modules = [SIMULATOR / f"{name}.py" for name in ("payments", "refunds", "attempts", "methods", "stripe_forms")]
    used = {code for module in modules for code in CODE.findall(module.read_text())}
    assert len(used) > 15
    assert used <= known


def test_the_evidence_of_a_dispute_is_the_published_one() -> None:
    shown = set(stripe.Dispute.Evidence.__annotations__)
    assert set(disputes.EVIDENCE) == {name for name in shown if name not in ("enhanced_evidence", "appeal")}


def test_every_transition_is_between_published_statuses_and_names_its_source() -> None:
    words = {
        "payment_intent": machine.INTENT_STATUSES,
        "charge": machine.CHARGE_STATUSES,
        "refund": machine.REFUND_STATUSES,
        "dispute": machine.DISPUTE_STATUSES,
    }
    for row in TRANSITIONS:
        assert row.after in words[row.machine], row
        assert row.before is None or row.before in words[row.machine], row
        assert row.source.startswith("docs.stripe.com/"), row
    assert len({(row.machine, row.before, row.after, row.cause) for row in TRANSITIONS}) == len(TRANSITIONS)
    for name, statuses in words.items():
        reached = {row.after for row in TRANSITIONS if row.machine == name}
        assert reached == set(statuses) - machine.NOT_IMITATED, name


def test_a_transition_that_is_not_in_the_table_is_refused(double: Double) -> None:
    with double.sim.store.write() as tx, pytest.raises(MachineError, match="canceled -> succeeded"):
        machine.move(tx, "payment_intent", "pi_1", "canceled", "succeeded", cause="confirm", at=0)


@pytest.mark.parametrize("token", sorted(methods.METHODS))
def test_every_test_payment_method_leads_to_a_published_status(double: Double, token: str) -> None:
    kind = methods.METHODS[token].type
    currency = methods.DEBIT_CURRENCIES.get(kind, "gbp")
    if token == methods.SLOW:
        created = double.intent(token)  # it takes its time only when it is confirmed
        assert created["status"] == "requires_confirmation"
        return
    intent = double.paid(token, currency=currency)
    assert intent["status"] in machine.INTENT_STATUSES
    method = methods.METHODS[token]
    if method.authenticates:
        assert intent["status"] == "requires_action"
    elif method.is_debit:
        assert intent["status"] == "processing"
    else:
        assert intent["status"] == ("requires_payment_method" if method.refusal else "succeeded")
