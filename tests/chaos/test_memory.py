"""Growth is told from noise and from warming up."""

from backoffice.chaos.memory import slope


def test_the_slope_is_in_megabytes_a_minute() -> None:
    assert slope([(float(second), 100.0 + 0.5 * second) for second in range(0, 100, 2)]) == 30.0
    assert slope([(float(second), 100.0) for second in range(0, 100, 2)]) == 0.0
