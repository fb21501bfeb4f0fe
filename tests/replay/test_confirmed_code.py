"""Workflow code is confirmed against the recorded histories, and these are never rewritten."""

from pathlib import Path

import pytest

from temporal_app import replay, stored_histories, workflow_fingerprints

SOURCE = '''
"""A module."""
LIMIT = 5
class Order(Base):
    """A class."""
    async def run(self):
        """A function."""
        await step(timeout=30)  # a remark
def other(): ...
'''


def test_the_workflow_code_is_the_one_that_was_confirmed() -> None:
    changed = workflow_fingerprints.differences(workflow_fingerprints.confirmed(), workflow_fingerprints.now())
    assert not changed, (
        "Workflow code changed since the recorded histories were last replayed on it:\n  "
        + "\n  ".join(changed)
        + "\nIf it decides otherwise for a running workflow: "
        + replay.ADVICE
        + "\nThen run `./dev manage record_histories` (it replays them and confirms the code)."
    )


def test_every_recorded_workflow_type_is_watched() -> None:
    watched = {name for functions in workflow_fingerprints.confirmed().values() for name in functions}
    recorded = {workflow.__name__ for workflow in replay.WORKFLOWS} - set(replay.unrecorded(replay.stored_files()))
    assert {f"{name}.run" for name in recorded} <= watched
    assert recorded


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ("  # a remark", "", []),
        ('"""A function."""', '"""Other words."""', []),
        ("await step(timeout=30)", "await step(\n            timeout=30\n        )", []),
        ("def other(): ...", "def other(): ...\ndef new(): ...", []),
        ("timeout=30", "timeout=31", ["changed: order Order.run"]),
        ("await step", "await other_step", ["changed: order Order.run"]),
        ("LIMIT = 5", "LIMIT = 6", ["changed: order (module level)"]),
        ("Order(Base)", "Order(Other)", ["changed: order Order"]),
        ("def other(): ...", "", ["gone: order other"]),
    ],
)
def test_what_decides_counts_and_what_explains_does_not(before: str, after: str, changed: list[str]) -> None:
    assert before in SOURCE
    then, now = (workflow_fingerprints.of_source(text) for text in (SOURCE, SOURCE.replace(before, after)))
    assert workflow_fingerprints.differences({"order": then}, {"order": now}) == changed


def test_numbers_of_a_policy_are_free_and_what_it_does_on_cancellation_is_not() -> None:
    source = (replay.CHECKOUT / "temporal_app" / "policies.py").read_text()
    confirmed = workflow_fingerprints.of_source(source, numbers=False)
    assert workflow_fingerprints.of_source(source.replace("hours=20", "hours=2"), numbers=False) == confirmed
    hasty = source.replace("WAIT_CANCELLATION_COMPLETED", "ABANDON")
    assert workflow_fingerprints.of_source(hasty, numbers=False) != confirmed


@pytest.mark.parametrize("folder", sorted(replay.STORED.glob("*/")), ids=lambda folder: folder.name)
def test_a_released_history_is_as_it_was_recorded(folder: Path) -> None:
    tampered = stored_histories.tampered(folder)
    assert not tampered, (
        f"{folder.name}: {', '.join(tampered)} is not as {stored_histories.HASHES} says. An old history is "
        "taken back: customers' orders look like it. A new one is listed by `./dev manage record_histories`."
    )


def test_an_edited_a_missing_and_a_smuggled_history_are_found_and_none_is_overwritten(tmp_path: Path) -> None:
    for name in ("kept", "edited", "removed"):
        stored_histories.write(tmp_path, name, {"events": []})
    assert stored_histories.tampered(tmp_path) == []
    with pytest.raises(stored_histories.AlreadyRecorded, match="never recorded again"):
        stored_histories.write(tmp_path, "kept", {"events": [1]})
    (tmp_path / "edited.json").write_text("{}")
    (tmp_path / "removed.json").unlink()
    (tmp_path / "smuggled.json").write_text("{}")
    assert stored_histories.tampered(tmp_path) == ["edited.json", "removed.json", "smuggled.json"]
    stored_histories.list_new(tmp_path)
    assert stored_histories.tampered(tmp_path) == ["edited.json", "removed.json"]
