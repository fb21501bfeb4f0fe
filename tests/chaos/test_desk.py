"""What people at the desk do with each task, and what they leave to others."""

from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from backoffice.chaos.asking import Asker, Doors
from backoffice.chaos.desk import Desk

DOORS = Doors(
    api="http://web/api/", token="t", second_token="u", temporal_http="", database_url="", simulator="http://gateway"
)


@dataclass
class Answer:
    body: Any
    status_code: int = 200

    def json(self) -> Any:
        return self.body


@dataclass
class Asked(Asker):
    """Answers from lists, and remembers what it was asked."""

    doors: Doors = DOORS
    tasks: list[dict[str, Any]] = field(default_factory=list)
    disputes: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    disputed: int = 0
    no: set[str] = field(default_factory=set)
    posts: list[tuple[str, Any]] = field(default_factory=list)
    #: that were sent instead of the usual one
    tokens: list[str] = field(default_factory=list)

    def ask(self, method: str, url: str, **options: Any) -> Any:
        if url.endswith("/api/reviews/"):
            return Answer({"results": [{"order": number} for number in self.waiting]})
        if url.endswith("/api/orders/"):
            return Answer({"results": [{"number": number} for number in self.waiting]})
        if method == "GET":
            return Answer({"results": self.tasks} if url.endswith("tasks/") else {"data": self.disputes})
        self.tokens += [given] if (given := options.get("headers", {}).get("Authorization")) else []
        path = url.removeprefix(DOORS.api).removeprefix(DOORS.simulator)
        self.posts.append((path, options.get("json", options.get("data"))))
        return Answer({}, status_code=409 if path in self.no else 200)

    def look(self, sql: str, *values: Any) -> tuple[Any, ...]:
        return (self.disputed,)


def task(kind: str) -> dict[str, Any]:
    return {"id": "12345678-0", "kind": kind, "order": "SO-1"}


def paths(asked: Asked) -> list[str]:
    Desk(asker=asked)._look_at_tasks()
    return [path for path, _ in asked.posts]


def test_money_that_is_owed_is_sent_again_once_and_then_paid_by_other_means() -> None:
    asked = Asked(tasks=[task("refund_owed")])
    desk = Desk(asker=asked)
    desk._look_at_tasks()
    # The second try failed too, which is another task.
    asked.tasks = [task("refund_owed") | {"id": "87654321-0"}]
    desk._look_at_tasks()
    assert [path for path, _ in asked.posts] == ["orders/SO-1/refunds/retry/", "tasks/87654321-0/resolve/"]
    assert asked.posts[1][1]["reference"] == "desk-87654321"
    assert desk.figures() == {"refund_owed": 1, "refunds sent again": 1}


def test_money_that_cannot_be_sent_again_is_paid_by_other_means_at_once() -> None:
    asked = Asked(tasks=[task("refund_owed")], no={"orders/SO-1/refunds/retry/"})
    assert paths(asked) == ["orders/SO-1/refunds/retry/", "tasks/12345678-0/resolve/"]


@pytest.mark.parametrize("kind", ["refund_owed", "dispute"])
def test_nobody_pays_while_the_bank_decides(kind: str) -> None:
    assert paths(Asked(tasks=[task(kind)], disputed=1)) == []


@pytest.mark.parametrize("kind", ["outcome_unknown", "request_refused"])
def test_what_a_partner_will_tell_is_left_to_it(kind: str) -> None:
    assert paths(Asked(tasks=[task(kind)])) == []


def test_all_other_tasks_are_settled_with_a_word() -> None:
    assert paths(Asked(tasks=[task("payment_state")])) == ["tasks/12345678-0/resolve/"]


def test_every_dispute_that_needs_an_answer_gets_one_and_all_answers_come() -> None:
    names = [f"du_{number}" for number in range(40)]
    disputes = [{"id": name, "status": "needs_response"} for name in names]
    asked = Asked(disputes=[*disputes, {"id": "du_won", "status": "won"}])
    asked.over.wait = lambda timeout=None: False  # type: ignore[method-assign]
    Desk(asker=asked)._look_at_disputes()
    assert {path.removeprefix("/v1/disputes/").removesuffix("/close") for path, _ in asked.posts} == set(names)
    given = {cast(dict[str, str], body).get("evidence[uncategorized_text]", "close") for _, body in asked.posts}
    assert given == {"winning_evidence", "losing_evidence", "close"}


def test_an_inquiry_cannot_be_given_in_to_and_gets_evidence() -> None:
    disputes = [{"id": f"du_{number}", "status": "warning_needs_response"} for number in range(40)]
    asked = Asked(disputes=disputes)
    asked.over.wait = lambda timeout=None: False  # type: ignore[method-assign]
    Desk(asker=asked)._look_at_disputes()
    assert all(body for _, body in asked.posts)


def poisoned(kind: str, *, mended: bool) -> Asked:
    asked = Asked(tasks=[task(kind)], poisoned={"SO-1": "amount"})
    if mended:
        asked.mended.set()
    return asked


@pytest.mark.parametrize("kind", ["request_refused", "overdue"])
def test_poison_is_left_where_it_is_until_it_is_mended(kind: str) -> None:
    assert paths(poisoned(kind, mended=False)) == []


def test_then_what_no_partner_takes_is_cancelled_and_the_rest_settled() -> None:
    assert paths(poisoned("request_refused", mended=True)) == ["orders/SO-1/cancel/"]
    assert paths(poisoned("overdue", mended=True)) == ["tasks/12345678-0/resolve/"]


def test_a_cancellation_of_the_desk_is_written_down_when_it_was_accepted() -> None:
    for no, many in ((set(), 1), ({"orders/SO-1/cancel/"}, 0)):
        asked = poisoned("request_refused", mended=True)
        asked.no = cast(set[str], no)
        desk = Desk(asker=asked)
        desk._look_at_tasks()
        assert [number for number, _ in desk.cancelled] == ["SO-1"] * many


def test_an_incident_is_settled_by_what_is_behind_it() -> None:
    class Behind(Asked):
        def ask(self, method: str, url: str, **options: Any) -> Any:
            if options.get("params") == {"incident": "7"}:
                return Answer({"results": [task("overdue")]})
            return super().ask(method, url, **options)

    incident = {"id": "99999999-0", "kind": "incident", "order": None, "subject": "incident:7"}
    assert paths(Behind(tasks=[incident])) == ["tasks/12345678-0/resolve/"]


def test_a_restored_database_is_decided_about_before_its_task_is_resolved() -> None:
    found = [
        {"kind": "order_behind", "name": "SO-1", "payment_reference": "pi_1"},
        {"kind": "order_unknown", "name": "SO-2", "payment_reference": "pi_2"},
        {"kind": "order_unknown", "name": "SO-3", "payment_reference": ""},
        {"kind": "run_behind", "name": "export:1", "payment_reference": ""},
    ]

    class Restored(Asked):
        def ask(self, method: str, url: str, **options: Any) -> Any:
            if url.endswith("restore-differences/"):
                return Answer({"results": found})
            return super().ask(method, url, **options)

    asked = Restored(tasks=[task("restored") | {"order": None}], waiting=["SO-1", "SO-9"])
    desk = Desk(asker=asked)
    desk._look_at_what_waits()
    assert not asked.posts, "that is the clerk's"
    desk._look_at_tasks()
    assert [body["decision"] for _, body in asked.posts] == ["finish", "undo", "keep", "again"]
    asked.posts.clear()
    desk._look_at_what_waits()
    assert [path for path, _ in asked.posts] == ["orders/SO-1/review/approve/", "orders/SO-1/release/"]
    assert asked.tokens == ["Token u"] * 2, "whoever placed an order does not approve it"
    found.clear()
    Desk(asker=asked)._look_at_tasks()
    assert asked.posts[-1][0] == "tasks/12345678-0/resolve/"
