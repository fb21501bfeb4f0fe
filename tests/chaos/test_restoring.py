"""Which orders a restored database has otherwise, and which not at all."""

from typing import Any, cast

from backoffice.chaos.restoring import Restoring, Stand, _unix

SHIPPED = Stand(number="SO-1", status="completed", events=9)
OPEN = Stand(number="SO-1", status="charging", events=4)
SAME = Stand(number="SO-2", status="completed", events=9)
NEW = Stand(number="SO-3", status="charging", events=4)


def test_an_order_differs_by_its_status_and_by_what_has_happened_to_it() -> None:
    one = Restoring(arena=cast(Any, None), say=print)
    one.before = {"a": SHIPPED, "b": SAME, "c": NEW}
    one.after = {"a": OPEN, "b": SAME}
    assert one.differing() == {"a": SHIPPED, "c": NEW}
    assert one.forgotten() == {"c": NEW}
    one.after["b"] = Stand(number="SO-2", status="completed", events=8)
    assert set(one.differing()) == {"a", "b", "c"}


def test_a_run_without_a_restore_has_no_setback() -> None:
    assert Restoring(arena=cast(Any, None), say=print).setback() is None


def test_moments_of_temporal_are_utc() -> None:
    assert _unix("2026-01-02T03:04:05.678901Z") == 1767323045.0
