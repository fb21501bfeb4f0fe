"""The activities of a run of partner calls: its list, one call, and its end."""

from uuid import UUID

from temporalio import activity

from orders.services import partner_calls, partner_runs
from orders.vocabulary import PartnerRunStatus
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import EndPartnerRun, GiveUpPartnerCall, PartnerCallInput, PartnerCallPage


@activity.defn(no_thread_cancel_exception=True)
def list_partner_calls(page: PartnerCallPage) -> list[int]:
    with translated_errors():
        return partner_calls.pending(UUID(page.run_id), limit=page.limit)


@activity.defn(no_thread_cancel_exception=True)
def make_partner_call(call: PartnerCallInput) -> None:
    with translated_errors():
        partner_calls.make(call.call_id, actor=engine_actor("partner calls"))


@activity.defn(no_thread_cancel_exception=True)
def give_up_partner_call(failure: GiveUpPartnerCall) -> None:
    with translated_errors():
        partner_calls.give_up(failure.call_id, error_type=failure.error_type, message=failure.message)


@activity.defn(no_thread_cancel_exception=True)
def end_partner_run(run: EndPartnerRun) -> PartnerRunStatus:
    with translated_errors():
        return partner_runs.end(run.run_id, note=run.note)
