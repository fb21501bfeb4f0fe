"""Rows that break a rule of incidents, of restored databases, and of what workers use the engine with."""

from datetime import UTC, datetime
from typing import Any

from django.db import models

from orders.models import EngineUse, Incident, RestoreDifference

NOW = datetime(2011, 12, 9, tzinfo=UTC)
UNDECIDED = {"decision": "", "decided_at": None, "decided_by": "", "note": ""}
OTHER = "00000000-0000-4000-8000-000000000001"


def make_rows() -> None:
    """One row in each table, and of differences one that was decided and one that is open."""
    EngineUse.objects.create(kind="namespace", name="default")
    Incident.objects.create(cause="database|RaiseException", says="RaiseException")
    about: dict[str, Any] = {"kind": "order_behind", "reference": "1", "name": "SO-1"}
    RestoreDifference.objects.create(decision="undo", decided_at=NOW, decided_by="lea", note="Given back", **about)
    RestoreDifference.objects.create(**about)


CASES: list[tuple[str, type[models.Model], dict[str, Any]]] = [
    ("engine_use_once", EngineUse, {}),
    ("incident_one_open", Incident, {"id": OTHER}),
    ("incident_says_what", Incident, {"cause": ""}),
    ("incident_says_what", Incident, {"says": ""}),
    ("incident_closed_says_how", Incident, {"closed_at": NOW}),
    ("incident_closed_says_how", Incident, {"resolution": "Over"}),
    ("restore_difference_one_open", RestoreDifference, {"id": OTHER, **UNDECIDED}),
    ("restore_difference_decided_by_somebody", RestoreDifference, {"decided_by": ""}),
    ("restore_difference_decided_by_somebody", RestoreDifference, {**UNDECIDED, "note": "Later"}),
]
