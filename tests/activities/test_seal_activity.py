"""The shell of the nightly seal."""

import pytest
from temporalio.testing import ActivityEnvironment

from orders.models import HistorySeal
from temporal_app.activities.seals import seal_history
from temporal_app.payloads import SealResult
from tests.factories import make_order

pytestmark = pytest.mark.django_db


def test_a_second_attempt_finds_the_seal_that_the_first_has_committed() -> None:
    make_order()
    assert ActivityEnvironment().run(seal_history) == SealResult(sequence=1, made=True)
    assert ActivityEnvironment().run(seal_history) == SealResult(sequence=1, made=False)
    assert HistorySeal.objects.get().actor == "nightly seal"
