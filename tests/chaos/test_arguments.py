"""What is wrong with a call of `./dev chaos` is said in one line, before anything is started."""

import pytest

from backoffice.chaos import run
from backoffice.chaos.unguarded import REMOVALS
from backoffice.devstack.errors import DevstackError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--orders", "0"], "--orders must be 1 to"),
        (["--orders", "many"], "invalid int value: 'many'"),
        (["--faults", "-1"], "--faults must be 0 to"),
        (["--failpoints", "sometimes"], "invalid choice: 'sometimes'"),
        (["--disable", "luck"], "the guard 'luck' cannot be taken away; fence, business_key, outbox, shield can"),
        (["--minutes", "5"], "needs a --profile"),
        (["--profile", "quiet"], "invalid choice: 'quiet'"),
        (["--speed", "5"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], words: str) -> None:
    with pytest.raises(DevstackError) as refused:
        run.parse(arguments)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_without_arguments_it_is_the_small_run() -> None:
    asked = run.parse([])
    assert (asked.orders, asked.faults, asked.seed, asked.failpoints, asked.disable) == (60, 12, 1, "off", None)


def test_a_missing_fence_is_looked_for_with_pauses() -> None:
    assert run.parse(["--disable", "fence"]).failpoints == "pause"
    assert run.parse(["--disable", "business_key"]).failpoints == "pause"
    assert run.parse(["--disable", "fence", "--failpoints", "off"]).failpoints == "off"
    assert run.parse(["--disable", "outbox"]).failpoints == "off"


def test_the_processes_are_told_of_failpoints_and_guards_only_when_asked() -> None:
    assert run.variables(run.parse([])) == run.QUICK_BREAKER
    told = run.variables(run.parse(["--failpoints", "pause", "--disable", "fence", "--seed", "4"]))
    assert told["BACKOFFICE_DISABLE_GUARD"] == "fence"
    assert told["BACKOFFICE_FAILPOINTS"].endswith(":4")


def test_every_guard_that_is_offered_can_be_taken_away() -> None:
    assert set(run.GUARDS) == set(REMOVALS)
