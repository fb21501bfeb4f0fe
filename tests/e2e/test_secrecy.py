"""Nothing of a customer can be read at Temporal or in the worker's log, whichever way an order or a feed goes.

Raw bytes are searched, not JSON: there payloads are base64, and a search for words finds nothing whether or not they
are encrypted.
"""

import asyncio
from collections.abc import Iterable

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    GetWorkflowExecutionHistoryRequest,
    ListWorkflowExecutionsRequest,
)

from backoffice.devstack.temporal import NAMESPACE
from orders.models import FeedImport, Order, OrderEvent
from orders.services import placing
from temporal_app.client import codec
from temporal_app.codec import messages_within
from tests.e2e.engine import Engine, eventually
from tests.factories import TEST_ACTOR, make_product
from tests.orders.feed_files import csv_of, receive, row

pytestmark = [pytest.mark.e2e, pytest.mark.django_db(transaction=True)]

CUSTOMER = placing.NewCustomer(
    reference="canary-reference@example.com",
    name="Canary-Name",
    email="canary-email@example.com",
    country="Canary-Home",
)
TOKEN = "pm_canary_token"
#: what the stand-in carrier and the stand-in bank say when they refuse
PARTNER_WORDS = ("SimPost does not serve", "Your card was declined")
CANARIES = (
    *("canary-reference", "Canary-Name", "canary-email", "Canary-Home", "Canary-Street", "Canary-Item"),
    *(TOKEN, "pm_card_", "CANARY-CELL", "Canary-Cell", "Canary-Buyer", *PARTNER_WORDS),
)


def order(*, quantity: int = 1, payment_method: str = "pm_card_visa", country: str = "Canary-Street") -> Order:
    product = make_product(stock=10)
    line = placing.NewLine(sku=product.sku, quantity=quantity, description="Canary-Item")
    new = placing.NewOrder(
        currency=product.currency,
        payment_method=payment_method,
        ship_to_country=country,
        customer=CUSTOMER,
        lines=(line,),
    )
    placed = placing.place(new, actor=TEST_ACTOR)
    placing.start(placed.number, actor=TEST_ACTOR)
    return placed


def feed() -> FeedImport:
    cells = {"sku": "CANARY-CELL", "description": "Canary-Cell", "country": "Canary-Cell"}
    lines = [
        row("1", customer="Canary-Buyer", **cells),
        row("2", customer="Canary-Buyer", price="Canary-Cell", **cells),
    ]
    return receive(csv_of(*lines), name="canary-email@example.com.csv", process=True)


def all_closed() -> bool:
    feeds = FeedImport.objects.exclude(status__in=("completed", "failed"))
    return not Order.objects.filter(closed_at=None).exists() and not feeds.exists()


async def told_by_temporal(engine: Engine) -> tuple[dict[str, bytes], bytes]:
    """Every answer of the engine as raw bytes; and all its payloads as they were before they were encrypted."""
    client, decrypt = await engine.client(), codec().displayed
    service, told, readable = client.workflow_service, {}, []
    listed = await service.list_workflow_executions(ListWorkflowExecutionsRequest(namespace=NAMESPACE, page_size=100))
    told["visibility"] = listed.SerializeToString()
    for one in listed.executions:
        run = WorkflowExecution(workflow_id=one.execution.workflow_id, run_id=one.execution.run_id)
        asked = {"namespace": NAMESPACE, "execution": run}
        described = await service.describe_workflow_execution(DescribeWorkflowExecutionRequest(**asked))
        history = await service.get_workflow_execution_history(GetWorkflowExecutionHistoryRequest(**asked))
        assert not history.next_page_token
        for name, answer in (("description", described), ("history", history)):
            payloads = list(messages_within(answer, Payload))
            told[f"{name} of {run.workflow_id}"] = answer.SerializeToString() + b"".join(one.data for one in payloads)
            readable += [decrypt(payload).data for payload in payloads]
    return told, b"\n".join(readable)


def files(engine: Engine) -> dict[str, bytes]:
    home = engine.temporal.home
    found = [*home.path.glob("temporal.*"), home.logs / "temporal.log", engine.folder / "worker.log"]
    return {path.name: path.read_bytes() for path in found}


def found_in(texts: Iterable[tuple[str, bytes]]) -> list[str]:
    return [f"{canary} in {name}" for name, text in texts for canary in CANARIES if canary.encode() in text]


def test_no_personal_data_token_or_partners_words_can_be_read_at_temporal_or_in_the_log(
    new_engine: Engine,
) -> None:
    new_engine.faults({"partner": "carrier", "operation": "shipments.book", "mode": "unavailable", "times": 1})
    orders = [order(), order(payment_method=TOKEN), order(payment_method="pm_card_chargeDeclined")]
    orders += [order(quantity=1000), order(country="AQ")]
    imported = feed()
    eventually(all_closed, what="the end of the orders and of the feed")
    failures = set(Order.objects.exclude(failure_type="").values_list("failure_type", flat=True))
    assert failures == {"payment_declined", "out_of_stock", "carrier_rejected"}
    assert OrderEvent.objects.filter(type="order.step_retrying").exists()
    imported.refresh_from_db()
    assert imported.status == "completed"

    told, readable = asyncio.run(told_by_temporal(new_engine))
    stored = files(new_engine)
    assert found_in([*told.items(), *stored.items()]) == []
    # The search looked at the right bytes, and there was something to hide.
    number = orders[0].number.encode()
    assert number in told["visibility"]
    assert number in told[f"history of order:{orders[0].id}"]
    assert any(number in text for name, text in stored.items() if name.startswith("temporal.") and "log" not in name)
    assert any(str(one.id).encode() in stored["worker.log"] for one in orders)
    assert all(words.encode() in readable for words in PARTNER_WORDS)
