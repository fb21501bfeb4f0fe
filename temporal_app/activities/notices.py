"""The activities of one notice."""

from temporalio import activity

from orders.services import notices
from orders.vocabulary import NoticeStatus
from temporal_app.activities.context import engine_actor
from temporal_app.errors import translated_errors
from temporal_app.payloads import NoticeInput

ACTOR = "notice process"


@activity.defn(no_thread_cancel_exception=True)
def send_notice(notice: NoticeInput) -> NoticeStatus:
    """Where the notice stands after this attempt."""
    with translated_errors():
        return notices.send(notice.notice_id, tries=notice.tries, actor=engine_actor(ACTOR))


@activity.defn(no_thread_cancel_exception=True)
def give_up_notice(notice: NoticeInput) -> NoticeStatus:
    with translated_errors(undoing=True):
        return notices.give_up(notice.notice_id, tries=notice.tries, actor=engine_actor(ACTOR))
