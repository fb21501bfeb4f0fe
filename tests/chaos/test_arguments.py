"""What is wrong with a call of `./dev chaos` is said in one line, before anything is started."""

import signal
from pathlib import Path
from typing import Any

import pytest

from backoffice.chaos import run
from backoffice.chaos.acts import PLACES
from backoffice.chaos.unguarded import REMOVALS
from backoffice.devstack.errors import DevstackError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--orders", "0"], "--orders must be 1 to"),
        (["--orders", "many"], "invalid int value: 'many'"),
        (["--faults", "-1"], "--faults must be 0 to"),
        (["--failpoints", "sometimes"], "invalid choice: 'sometimes'"),
        (
            ["--disable", "luck"],
            "the guard 'luck' cannot be taken away; fence, business_key, outbox, shield, state, predecessor",
        ),
        (["--methods", "1.5"], "--methods must be 0 to 1"),
        (["--poison", "0.6"], "--poison must be over 0 and at most 0.5"),
        (["--poison", "0"], "--poison must be over 0"),
        (["--poison", "0.1", "--disable", "fence"], "go with drawn faults only"),
        (["--lose-engine", "--failpoints", "each"], "go with drawn faults only"),
        (["--lose-engine", "--profile", "outages"], "go with drawn faults only"),
        (["--lose-engine", "--restore"], "a run of their own each"),
        (["--no-stranger", "--disable", "predecessor"], "without a stranger nobody notices"),
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
    assert run.variables(run.parse([])) == run.QUICK_BREAKER | run.DEADLINES
    told = run.variables(run.parse(["--failpoints", "pause", "--disable", "fence", "--seed", "4"]))
    assert told["BACKOFFICE_DISABLE_GUARD"] == "fence"
    assert told["BACKOFFICE_FAILPOINTS"].endswith(":4")


def test_the_share_of_methods_can_be_said_and_is_kept_for_the_rest() -> None:
    assert run.mix_of(run.parse([])).methods == 0.3
    assert run.mix_of(run.parse(["--methods", "0.5"])).methods == 0.5
    assert run.mix_of(run.parse(["--disable", "fence", "--methods", "0.5"])).cancel_when == "shipping"


def test_a_run_with_poison_has_small_workers() -> None:
    asked = run.parse(["--poison", "0.02"])
    assert run.mix_of(asked).poison == 0.02
    assert int(run.variables(asked)[PLACES]) < 20
    assert run.mix_of(run.parse(["--lose-engine"])).engine_lost


def test_every_guard_that_is_offered_can_be_taken_away() -> None:
    assert set(run.GUARDS) == set(REMOVALS)


def test_a_run_that_fails_itself_is_no_control_that_found_something(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from backoffice.chaos import arena
    from backoffice.devstack import paths

    def broken(*arguments: Any, **options: Any) -> Any:
        raise RuntimeError("the stranger could not end what it had started")

    monkeypatch.setattr(paths, "home", lambda: paths.Home(path=tmp_path))
    monkeypatch.setattr(arena, "running", broken)
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run.chaos(["--disable", "state"]) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
    assert "proves nothing" in capsys.readouterr().err
