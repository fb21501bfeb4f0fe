"""A drain goes on while anything gets ahead, and not because one message is told for ever."""

import pytest

from backoffice.chaos.evidence import Left

SOME = Left(orders=3, messages=5, events=100)


@pytest.mark.parametrize(
    "later",
    [
        Left(orders=2, messages=5, events=100),
        Left(orders=3, messages=5, events=101),
        Left(orders=3, messages=4, events=100),
    ],
)
def test_it_gets_ahead(later: Left) -> None:
    assert later.is_ahead_of(SOME)


@pytest.mark.parametrize(
    "later", [SOME, Left(orders=3, messages=6, events=100), Left(orders=4, messages=5, events=100)]
)
def test_it_does_not(later: Left) -> None:
    assert not later.is_ahead_of(SOME)
