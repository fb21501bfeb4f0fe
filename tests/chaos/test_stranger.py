"""What the stranger wrote down is read as it was, and a stranger that went away by itself is no stranger."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from backoffice.chaos import intrusion
from backoffice.chaos.intrusion import Intrusion
from backoffice.chaos.stranger import ended

TOLD = [
    {"deed": "start", "workflow": "order:x", "detail": "", "at": 1.0},
    {"deed": "cancel", "workflow": "order:a", "detail": "", "at": 2.0},
    {"deed": "cancel", "workflow": "order:b", "detail": "", "at": 3.0},
    {"deed": "activity", "workflow": "order:a", "detail": "charge_payment: empty", "at": 4.0},
]


def stranger(folder: Path) -> Intrusion:
    # Nobody listens there: it waits for a server.
    return Intrusion(address="127.0.0.1:9", folder=folder, seed=1)


def test_its_deeds_are_counted_and_its_own_workflows_known(tmp_path: Path) -> None:
    one = stranger(tmp_path)
    assert one.deeds().counts == {}
    one.file.write_text("\n".join(json.dumps(told) for told in TOLD) + "\n")
    deeds = one.deeds()
    assert deeds.counts == {"activity": 1, "cancel": 2, "start": 1}
    assert (deeds.started, deeds.cancelled) == ({"order:x"}, {"order:a", "order:b"})


def test_it_is_started_without_our_environment_and_ends_when_it_is_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BACKOFFICE_PAYLOAD_KEYS", "secret")
    one = stranger(tmp_path)
    one.begin()
    assert one._process is not None
    environment = Path(f"/proc/{one._process.pid}/environ").read_text()
    assert "secret" not in environment
    one.end()
    assert one._process is None


def test_one_that_ended_by_itself_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = stranger(tmp_path)
    monkeypatch.setattr(intrusion, "wrap", lambda command, **options: [sys.executable, "-c", ""])
    one.begin()
    assert one._process is not None
    one._process.wait()
    with pytest.raises(RuntimeError, match="the stranger ended by itself"):
        one.end()


async def test_a_stranger_ends_although_a_call_takes_its_cancellation_for_an_error() -> None:
    swallowed = []

    async def stubborn() -> None:
        while len(swallowed) < 2:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                swallowed.append(True)

    working = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await ended(working)
    assert working.done()
