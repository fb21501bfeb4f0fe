"""One notice: sent once, given up after an hour, and never more than one process for one asking."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from orders.vocabulary import NoticeStatus
from temporal_app import starter
from temporal_app.payloads import NoticeInput
from temporal_app.task_queues import TaskQueue
from temporal_app.workflow_ids import notice_workflow_id
from temporal_app.workflows.notice import NoticeWorkflow


class Mail:
    """Stands in for the activities."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.log: list[tuple[str, int]] = []

    @asynccontextmanager
    async def worker(self, server: WorkflowEnvironment, queue: str) -> AsyncIterator[None]:
        @activity.defn(name="send_notice")
        async def send_notice(notice: NoticeInput) -> NoticeStatus:
            self.log.append(("send", notice.tries))
            if self.errors:
                raise self.errors.pop(0)
            return NoticeStatus.SENT

        @activity.defn(name="give_up_notice")
        async def give_up_notice(notice: NoticeInput) -> NoticeStatus:
            self.log.append(("give up", notice.tries))
            return NoticeStatus.FAILED

        activities = [send_notice, give_up_notice]
        async with Worker(server.client, task_queue=queue, workflows=[NoticeWorkflow], activities=activities):
            yield


def away(after: timedelta) -> ApplicationError:
    return ApplicationError("no answer", type="partner_unavailable", next_retry_delay=after)


@pytest.mark.parametrize(
    ("failures", "ends", "last"), [(2, NoticeStatus.SENT, "send"), (100, NoticeStatus.FAILED, "give up")]
)
async def test_a_mail_server_that_is_away_is_tried_for_an_hour(
    skipping: WorkflowEnvironment, failures: int, ends: NoticeStatus, last: str
) -> None:
    mail, queue = Mail(*[away(timedelta(minutes=10))] * failures), f"test-{uuid.uuid4()}"
    notice = NoticeInput(notice_id=str(uuid.uuid4()), tries=1)
    async with mail.worker(skipping, queue):
        result = await skipping.client.execute_workflow(
            NoticeWorkflow.run, notice, id=notice_workflow_id(notice.notice_id, 1), task_queue=queue
        )
    assert (result.status, mail.log[-1][0]) == (ends, last)
    assert len(mail.log) <= 8


async def test_a_message_that_is_delivered_twice_sends_once_and_a_new_asking_has_a_process_of_its_own(
    dev_server: WorkflowEnvironment,
) -> None:
    mail, body = Mail(), {"notice_id": str(uuid.uuid4()), "tries": 1}
    async with mail.worker(dev_server, TaskQueue.BATCHES):
        for tries in (1, 1, 2):
            asked = {**body, "tries": tries}
            await starter.send_notice(dev_server.client, asked)
            await dev_server.client.get_workflow_handle(notice_workflow_id(str(body["notice_id"]), tries)).result()
    assert mail.log == [("send", 1), ("send", 2)]
