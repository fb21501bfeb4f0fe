"""Histories of released versions must replay on the code as it is now.

If one of these fails, orders that are under way would stop at the deploy: their workers could no longer follow what
was recorded. Put the change behind `workflow.patched` (docs in ARCHITECTURE.md, "To change a workflow"); never record
the history again to make the test pass.
"""

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from temporal_app.registry import REGISTRY

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*/*.json"))
WORKFLOWS = [workflow for contents in REGISTRY.values() for workflow in contents.workflows]
#: the ways of version 0.1.0 that every later version must still replay
BRANCHES = {"completed", "declined", "out_of_stock", "cancelled", "carrier_rejected", "feed_completed", "feed_failed"}


def test_every_way_of_the_first_version_is_recorded() -> None:
    assert {path.stem for path in HISTORIES if path.parent.name == "0.1.0"} == BRANCHES


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    recorded = json.loads(path.read_text())
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter)
    await replayer.replay_workflow(WorkflowHistory.from_json(recorded["workflowId"], recorded))


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_recorded_history_goes_to_the_end_and_names_no_machine(path: Path) -> None:
    text = path.read_text()
    last = json.loads(text)["events"][-1]["eventType"]
    assert last in {"EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", "EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED"}
    assert '"stackTrace"' not in text
    assert '"identity"' not in text
