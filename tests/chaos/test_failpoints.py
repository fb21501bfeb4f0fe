"""Failpoints and missing guards exist in a chaos run, and nowhere else."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backoffice.chaos import run, unguarded
from orders import failpoints
from orders.failpoints import Failpoints, asked_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("environment", ["dev", "test", "production", ""])
def test_outside_a_chaos_run_they_are_off_whatever_is_asked(environment: str) -> None:
    assert asked_for({"BACKOFFICE_ENV": environment, "BACKOFFICE_FAILPOINTS": "crash:1:1"}) is None


def test_without_being_asked_for_they_are_off() -> None:
    assert asked_for({"BACKOFFICE_ENV": "chaos"}) is None
    assert failpoints.ACTIVE is None
    failpoints.reach("order:charge", 1, "claim")


def test_pause_and_crash_are_read() -> None:
    pause = asked_for({"BACKOFFICE_ENV": "chaos", "BACKOFFICE_FAILPOINTS": "pause:0.1:20:7"})
    assert pause == Failpoints(probability=0.1, seconds=20, seed="7")
    crash = asked_for({"BACKOFFICE_ENV": "chaos", "BACKOFFICE_FAILPOINTS": "crash:0.05:7"})
    assert crash == Failpoints(probability=0.05, seconds=None, seed="7")


@pytest.mark.parametrize("text", ["pause", "pause:0.1", "crash:0.1:20:7", "explode:1:1"])
def test_nonsense_stops_the_process_instead_of_testing_nothing(text: str) -> None:
    with pytest.raises(ValueError, match="BACKOFFICE_FAILPOINTS"):
        asked_for({"BACKOFFICE_ENV": "chaos", "BACKOFFICE_FAILPOINTS": text})


def test_a_draw_is_the_same_for_the_same_attempt_and_new_for_the_next() -> None:
    points = Failpoints(probability=0.5, seconds=0, seed="7")
    draws = [points.strikes("order:charge", token, "claim") for token in range(1, 50)]
    assert draws == [points.strikes("order:charge", token, "claim") for token in range(1, 50)]
    assert 10 < sum(draws) < 40


def test_a_listed_point_strikes_once(tmp_path: Path) -> None:
    (tmp_path / "order:charge.effect").write_text("pause")
    points = asked_for({"BACKOFFICE_ENV": "chaos", "BACKOFFICE_FAILPOINTS": f"listed:0:{tmp_path}"})
    assert points is not None
    points.strike("order:charge", 1, "claim")
    assert [path.name for path in tmp_path.iterdir()] == ["order:charge.effect"]
    points.strike("order:charge", 1, "effect")
    assert list(tmp_path.iterdir()) == []
    points.strike("order:charge", 2, "effect")


def test_the_table_of_points_is_what_the_code_reaches() -> None:
    """Those of EVERYWHERE are in the fence, hence in every step; two ways through a step may share a point."""
    reached = [
        word
        for path in [ROOT / "orders/fence.py", *(ROOT / "orders/services").glob("*.py")]
        for word in re.findall(r'failpoints\.reach\([^"]*"(\w+)"\)', path.read_text())
    ]
    listed = [point for points in failpoints.POINTS.values() for point in points if point not in failpoints.EVERYWHERE]
    assert set(reached) == {*failpoints.EVERYWHERE, *listed}
    assert len(reached) >= len([*failpoints.EVERYWHERE, *listed]), "A step of the table reaches no point any more."


def test_a_crash_ends_the_process_at_once() -> None:
    script = "from orders import failpoints; failpoints.reach('order:charge', 1, 'claim'); print('went on')"
    done = _python(script, BACKOFFICE_ENV="chaos", BACKOFFICE_FAILPOINTS="crash:1:1")
    assert (done.returncode, done.stdout) == (137, "")
    done = _python(script, BACKOFFICE_ENV="production", BACKOFFICE_FAILPOINTS="crash:1:1")
    assert (done.returncode, done.stdout) == (0, "went on\n")


def test_timeouts_are_shorter_in_a_chaos_run_only() -> None:
    script = "from temporal_app import policies; print(policies.SCALE)"
    assert _python(script, BACKOFFICE_ENV="production", BACKOFFICE_TIMEOUT_SCALE="0.5").stdout == "1.0\n"
    assert _python(script, BACKOFFICE_ENV="chaos", BACKOFFICE_TIMEOUT_SCALE="0.5").stdout == "0.5\n"


@pytest.mark.parametrize("environment", ["dev", "test", "production"])
def test_no_guard_is_taken_away_outside_a_chaos_run(environment: str) -> None:
    script = "from backoffice.chaos import unguarded; unguarded.take_away()"
    done = _python(script, BACKOFFICE_ENV=environment, BACKOFFICE_DISABLE_GUARD="fence")
    assert done.returncode == 1
    assert "in a chaos run only" in done.stderr


@pytest.mark.parametrize("guard", ["fence", "business_key", "outbox", "shield"])
def test_what_a_control_takes_away_is_there_to_be_taken(guard: str) -> None:
    script = "import os; from backoffice.chaos import unguarded; unguarded.take_away(); print('taken'); os._exit(0)"
    script = script.replace("os._exit", "import sys; sys.stdout.flush(); os._exit")
    done = _python(script, BACKOFFICE_ENV="chaos", BACKOFFICE_DISABLE_GUARD=guard)
    assert (done.returncode, done.stdout) == (0, "taken\n"), done.stderr


def test_a_stand_in_that_takes_other_parameters_is_refused_at_the_start() -> None:
    with pytest.raises(RuntimeError, match=r"parse takes \(arguments\) by now"):
        unguarded.replace(run, "parse", lambda arguments, more: None)


def _python(script: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
