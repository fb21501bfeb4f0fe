"""How everybody outside asks: again, with the same key, until they hear yes or a final no.

Clients, the clerk and the office share it, because each of them must neither give up on a server that is being killed
nor ask twice for one thing. What nobody may ever be told is a complaint, and a complaint is a violation.
"""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import psycopg
import requests

from backoffice.chaos.facts import TERMINAL

REQUEST_TIMEOUT = 8.0
#: a client whose key is leased by a killed web process waits 30 seconds; nobody waits longer than this
PATIENCE = 300.0
#: seconds between two tries, the first and the longest, and between two looks
PAUSE, LONGEST_PAUSE, LOOK = 0.2, 2.0, 0.3
#: (status code, words) of answers that are final and nobody's fault: somebody else, or the order itself, was faster
NOES = ((409, "wrong-state"), (400, "No order is left to act on"), (400, "is not within 1 to 0"))
ENDS = {"cancel": {}, "terminate": {"reason": "Ended by an operator"}}


@dataclass(frozen=True, kw_only=True)
class Doors:
    """Where everybody knocks."""

    api: str
    token: str
    #: of a second person; nobody decides about an order that they placed themselves
    second_token: str
    temporal_http: str
    database_url: str
    simulator: str


@dataclass(kw_only=True)
class Asker:
    doors: Doors
    #: the run is over: nobody waits any more
    over: threading.Event = field(default_factory=threading.Event)
    #: what nobody may ever be told, in words
    complaints: list[str] = field(default_factory=list)
    #: number of each order that is refused for good -> how; nobody touches one before it is mended
    poisoned: dict[str, str] = field(default_factory=dict)
    mended: threading.Event = field(default_factory=threading.Event)
    #: the database was set back, and nobody at the desk does anything before a lead decides
    undecided: threading.Event = field(default_factory=threading.Event)
    _local: threading.local = field(default_factory=threading.local)

    def insist(
        self, what: str, path: str, *, key: str, yes: Collection[int] = (202,), **request: Any
    ) -> requests.Response | None:
        """POST until the answer is one of `yes`; None after a final no or when nobody answers in time.

        A no of `NOES` is final; any other refusal is a complaint.
        """
        headers = {"Idempotency-Key": key, **request.pop("headers", {})}
        give_up, pause = time.monotonic() + PATIENCE, PAUSE
        while time.monotonic() < give_up and not self.over.is_set():
            answer = self.ask("POST", f"{self.doors.api}{path}", headers=headers, **request)
            if answer is not None and answer.status_code in yes:
                return answer
            if answer is not None and any(answer.status_code == code and words in answer.text for code, words in NOES):
                return None
            # These also say that the key is still in flight, or that it is asked too often.
            if answer is not None and answer.status_code < 500 and answer.status_code not in {409, 429}:
                self.complain(f"{what} was refused: {answer.status_code} {answer.text[:300]}")
                return None
            self.over.wait(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        self.complain(f"{what} was not answered within {PATIENCE:.0f} s")
        return None

    def ask(self, method: str, url: str, **options: Any) -> requests.Response | None:
        """One try; None without an answer."""
        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            # A proxy of the environment must not get between us and loopback.
            session.trust_env = False
        headers = {"Authorization": f"Token {self.doors.token}", **options.pop("headers", {})}
        try:
            answer: requests.Response = session.request(
                method, url, headers=headers, timeout=REQUEST_TIMEOUT, **options
            )
        except requests.RequestException:
            return None
        return answer

    def end_run(self, number: str, how: str) -> bool:
        """Behind the product's back: have Temporal `cancel` or `terminate` the order's workflow.

        False when it is over, or was not there within 10 seconds.
        """
        give_up = time.monotonic() + 10
        while time.monotonic() < give_up and not self.over.is_set():
            found = self.look("SELECT id::text, status FROM orders_order WHERE number = %s", number)
            if found is not None and found[1] in TERMINAL:
                return False
            if found is not None:
                workflow = quote(f"order:{found[0]}", safe="")
                url = f"{self.doors.temporal_http}/workflows/{workflow}/{how}"
                answer = self.ask("POST", url, json=ENDS[how])
                if answer is not None and answer.status_code == 200:
                    return True
            self.over.wait(LOOK)
        return False

    def await_status(self, number: str, status: str) -> bool:
        """Whether the order came into the status; False when it ended otherwise, or nobody waits any more."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up and not self.over.wait(LOOK):
            found = self.look("SELECT status FROM orders_order WHERE number = %s", number)
            if found is not None and found[0] == status:
                return True
            if found is not None and found[0] in TERMINAL:
                return False
        return False

    def look(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """One row of the database; None when there is none, or nobody answers."""
        try:
            with psycopg.connect(self.doors.database_url, connect_timeout=2) as connection:
                return connection.execute(sql, values).fetchone()
        except psycopg.Error:
            return None

    def complain(self, words: str) -> None:
        self.complaints.append(words)
