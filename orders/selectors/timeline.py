"""An order's history as lines that a person reads: who, when, why, from what to what.

One timeline, people and engine together: two lists side by side leave the reader to work out what came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from django.conf import settings

from orders import history
from orders.models import Order, OrderEvent
from orders.vocabulary import ActorKind, EventType, StepName
from orders.wording import EVENT_TONES, STEP_TITLES, Tone, event_amounts, event_title, status_word

#: a page shows the newest so many; retries are thinned out when written, so few orders ever reach it
LIMIT = 200

CHANNELS = {"admin": "back office", "api": "API", "cli": "command line", "feed": "order feed", "engine": "engine"}


@dataclass(frozen=True, kw_only=True)
class Entry:
    sequence: int
    at: datetime
    title: str
    tone: Tone
    actor: str
    is_person: bool
    channel: str
    reason: str
    #: "Payment", empty outside a step
    step: str
    #: None where the first attempt did it
    attempt: int | None
    before: str
    after: str
    amounts: list[str]
    #: the run in Temporal's own UI; empty for people and without a UI
    run_url: str

    @property
    def moved(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """Newest first."""

    entries: list[Entry]
    #: events that are older than the oldest shown
    hidden: int
    #: whether the hash chain over the shown events holds; None when not all of them were read
    chain_holds: bool | None
    chain_words: str


def timeline(order: Order) -> Timeline:
    """The order's newest events and the state of their chain: one query."""
    newest = list(order.events.order_by("-sequence")[:LIMIT])
    holds, words = _chain(order, newest)
    return Timeline(
        entries=[_entry(event, order) for event in newest],
        hidden=order.event_count - len(newest),
        chain_holds=holds,
        chain_words=words,
    )


def run_url(workflow_id: str, run_id: str) -> str:
    """Where Temporal's UI shows the run; empty when there is no UI or no run."""
    if not (settings.TEMPORAL_UI_URL and workflow_id and run_id):
        return ""
    namespace = f"{settings.TEMPORAL_UI_URL.rstrip('/')}/namespaces/{settings.TEMPORAL_NAMESPACE}"
    return f"{namespace}/workflows/{quote(workflow_id, safe=':')}/{quote(run_id)}/history"


def _entry(event: OrderEvent, order: Order) -> Entry:
    kind = EventType(event.type)
    claim = event.data.get("claim")
    # The fence's count goes on over restarts of the activity; Temporal's own starts again.
    attempt = claim if isinstance(claim, int) else event.attempt
    return Entry(
        sequence=event.sequence,
        at=event.at,
        title=event_title(kind, event.data),
        tone=EVENT_TONES.get(kind, Tone.NEUTRAL),
        actor=event.actor,
        is_person=event.actor_kind == ActorKind.PERSON,
        channel=CHANNELS.get(event.channel, event.channel),
        reason=str(event.reason),
        step=STEP_TITLES[StepName(event.step)] if event.step else "",
        attempt=None if attempt == 1 and kind is not EventType.STEP_RETRYING else attempt,
        before=status_word(event.status_before) if event.status_before else "",
        after=status_word(event.status_after),
        amounts=event_amounts(event.data, order.currency),
        run_url=run_url(event.workflow_id, event.run_id),
    )


def _chain(order: Order, newest: Sequence[OrderEvent]) -> tuple[bool | None, str]:
    if len(newest) < order.event_count:
        shown = f"Only the newest {len(newest)} of {order.event_count} lines are shown"
        return None, f"{shown}; verify_invariants checks all."
    broken = history.verify_chain(order, reversed(newest))
    if broken is None:
        return True, "Unbroken: every line is chained to the one before it."
    return False, f"BROKEN at line {broken.sequence}: {broken.problem}. Tell an administrator."
