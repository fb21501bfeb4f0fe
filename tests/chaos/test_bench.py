"""`./dev bench`: a mistake is said before anything is started, and what is measured is reported as ratios."""

from typing import Any, cast

import pytest

from backoffice.bench import run
from backoffice.bench.measures import Bench
from backoffice.devstack.errors import DevstackError


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["everything"], "invalid choice: 'everything'"),
        (["--orders", "49"], "--orders must be 50 to 2500"),
        (["--children", "0"], "--children must be 1 to"),
        (["--rows", "many"], "invalid int value: 'many'"),
        (["--speed=5"], "unrecognized arguments"),
    ],
)
def test_a_mistake_is_one_clear_line(arguments: list[str], words: str) -> None:
    with pytest.raises(DevstackError) as refused:
        run.parse(arguments)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


class Nothing:
    """A memory that was never looked at."""

    def report(self) -> dict[str, dict[str, float]]:
        return {}


class Measured(Bench):
    """Batches that took as long as the test says, by a worker that grows by ten megabytes each time it is looked at."""

    def __init__(self, *seconds: float) -> None:
        super().__init__(arena=cast(Any, None), memory=cast(Any, Nothing()))
        self.seconds = list(seconds)
        self.megabytes = 100.0

    def _worker_mb(self) -> float:
        self.megabytes += 10
        return self.megabytes

    def _seed(self, orders: int) -> None:
        pass

    def _hold(self, orders: int, name: str) -> float:
        took = self.seconds.pop(0)
        self._row(name, orders, took)
        return took


def test_the_larger_batch_is_told_by_what_one_of_its_orders_takes() -> None:
    bench = Measured(2.0, 1.9, 7.6)
    bench.chunks(500)
    report = bench.report()
    assert report["ratios"]["time for one order at four times as many"] == 1.0
    assert report["ratios"]["memory at four times as many"] == round(120 / 110, 2)
    assert [(row["name"], row["count"]) for row in report["rows"]] == [
        ("chunks", 500),
        ("chunks again", 500),
        ("chunks, 4 times as many", 2_000),
    ]
    assert report["noisy"] is False
    assert report["memory"] == {"workers": {"most_mb": 130.0}}


def test_a_run_whose_own_measurements_differ_calls_itself_noisy() -> None:
    bench = Measured(2.0, 3.1, 8.0)
    bench.chunks(500)
    assert bench.report()["noisy"] is True


def test_children_are_compared_with_chunks_where_both_were_measured() -> None:
    bench = Measured(1.0, 1.0, 4.0)
    bench.chunks(500)
    bench._row("children", 50, 5.0)
    assert bench.report()["ratios"]["chunks over children, orders a second"] == 50.0
