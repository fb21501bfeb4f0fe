"""The shells of exports: they heartbeat the number of the next part, leave when told to, and resume."""

import pytest
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.testing import ActivityEnvironment

from orders.models import Export
from orders.services.exports import requesting
from orders.vocabulary import ExportStatus
from temporal_app.activities import exports
from temporal_app.payloads import AbandonExport, ExportInput
from tests.factories import make_order
from tests.orders.attempts_exports import make_export, make_written

pytestmark = pytest.mark.django_db


@pytest.fixture
def export(monkeypatch: pytest.MonkeyPatch) -> Export:
    monkeypatch.setattr(requesting, "EXPORT_PART_ORDERS", 1)
    return make_export(make_order(), make_order(), make_order())


def test_the_file_is_written_with_a_beat_before_each_part(export: Export) -> None:
    beats: list[int] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = beats.append
    assert environment.run(exports.write_export, ExportInput(export_id=str(export.pk))) is ExportStatus.COMPLETED
    assert beats == [1, 2, 3]


@pytest.mark.parametrize(("how", "error"), [("cancel", CancelledError), ("worker_shutdown", ApplicationError)])
def test_it_leaves_between_two_parts_and_the_next_attempt_goes_on(
    export: Export, how: str, error: type[Exception]
) -> None:
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda position: getattr(environment, how)() if position == 2 else None
    with pytest.raises(error):
        environment.run(exports.write_export, ExportInput(export_id=str(export.pk)))
    export.refresh_from_db()
    assert (export.status, export.rows_written) == (ExportStatus.RUNNING, 1)
    beats: list[int] = []
    following = ActivityEnvironment()
    following.on_heartbeat = beats.append
    assert following.run(exports.write_export, ExportInput(export_id=str(export.pk))) is ExportStatus.COMPLETED
    assert beats == [2, 3]


def test_an_export_that_is_given_up_is_closed(export: Export) -> None:
    given_up = AbandonExport(export_id=str(export.pk), message="Its process was cancelled at Temporal.")
    assert ActivityEnvironment().run(exports.abandon_export, given_up) is ExportStatus.FAILED


def test_the_round_finds_nothing_to_do_twice() -> None:
    make_written()
    Export.objects.update(expires_at="2026-01-01T00:00:00Z")
    assert [ActivityEnvironment().run(exports.expire_exports) for _ in range(2)] == [1, 0]
    assert ActivityEnvironment().run(exports.ask_for_planned_exports) == 0
