"""Rows of the tables about partners, and a change of each that a rule of the database must refuse."""

from datetime import UTC, datetime
from typing import Any

from django.db import models

from orders.models import Order, PartnerAnswer, PartnerCall, PartnerRun, Shipment, TrackingEvent

NOW = datetime(2011, 12, 9, tzinfo=UTC)
OTHER = "00000000-0000-4000-8000-000000000001"


def make_rows(order: Order) -> None:
    """One row in each of the tables; the order has a shipment."""
    TrackingEvent.objects.create(shipment=Shipment.objects.get(order=order), event_id="e1", status="booked", at=NOW)
    run = PartnerRun.objects.create(partner="carrier", actor="ada", channel="cli", reason="Where?", total=1)
    PartnerCall.objects.create(run=run, subject="shipment")
    PartnerAnswer.objects.create(
        key="0", partner="rates", endpoint="rates", body={}, fetched_at=NOW, fresh_until=NOW, usable_until=NOW
    )


CASES: list[tuple[str, type[models.Model], dict[str, Any]]] = [
    ("partner_run_ended_has_time", PartnerRun, {"status": "completed"}),
    ("partner_run_ended_has_time", PartnerRun, {"finished_at": NOW}),
    ("partner_run_one_running", PartnerRun, {"id": OTHER}),
    ("partner_call_once", PartnerCall, {}),
    ("partner_call_failed_says_why", PartnerCall, {"status": "failed", "finished_at": NOW}),
    ("partner_call_ended_has_time", PartnerCall, {"status": "done"}),
    ("partner_call_ended_has_time", PartnerCall, {"finished_at": NOW}),
    ("tracking_event_once", TrackingEvent, {}),
    ("partner_answer_times_in_order", PartnerAnswer, {"key": "1", "fresh_until": datetime(2011, 12, 8, tzinfo=UTC)}),
    ("partner_answer_times_in_order", PartnerAnswer, {"key": "1", "usable_until": datetime(2011, 12, 8, tzinfo=UTC)}),
]
