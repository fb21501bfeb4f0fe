"""How to try the commands on runs of partner calls at each of their doors."""

from orders.models import PartnerRun
from orders.services import partner_runs
from orders.vocabulary import Channel, PartnerCode, PartnerRunStatus
from tests.factories import TEST_ACTOR
from tests.orders.access_attempts import Attempt


def _none_runs() -> None:
    for run in PartnerRun.objects.filter(status=PartnerRunStatus.RUNNING):
        partner_runs.cancel(run.pk, actor=TEST_ACTOR, reason="The next try")


def _run() -> PartnerRun:
    _none_runs()
    return partner_runs.start(PartnerCode.RATES, actor=TEST_ACTOR, reason="Monthly report")


PARTNER_RUN_ATTEMPTS: tuple[Attempt, ...] = (
    Attempt(
        command="partner_run",
        channel=Channel.ADMIN,
        door="admin:orders_partnerrun_start",
        prepare=_none_runs,
        do=lambda person, _: person.post("admin:orders_partnerrun_start", {"reason": "Monthly report"}, "rates"),
    ),
    Attempt(
        command="partner_run",
        channel=Channel.API,
        door="PartnerRuns.create",
        prepare=_none_runs,
        do=lambda person, _: person.call("/api/partners/carrier/runs/", {"reason": "Where are they?"}),
    ),
    Attempt(
        command="partner_run_cancel",
        channel=Channel.ADMIN,
        door="admin:orders_partnerrun_cancel",
        prepare=_run,
        do=lambda person, run: person.post("admin:orders_partnerrun_cancel", {"reason": "Not needed"}, run.pk),
    ),
    Attempt(
        command="partner_run_cancel",
        channel=Channel.API,
        door="PartnerRuns.cancel",
        prepare=_run,
        do=lambda person, run: person.call(f"/api/partner-runs/{run.pk}/cancel/", {"reason": "Not needed"}),
    ),
)
