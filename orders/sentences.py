"""What happens to an order, in words: what, since when, why it waits, what comes next, what you can do.

Staff who see "status: charging" ask a developer why it does not move; staff who see "attempt 4, the gateway answers
503, tried again by itself" do not. Everything here is a pure function of facts, so every sentence has a test.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from orders import money_back
from orders.amounts import counted, duration
from orders.facts import Facts, OpenStep, Outage, Standing, Standstill
from orders.payment_sentences import awaiting_payment
from orders.vocabulary import IN_PROCESS_STATUSES, MOVING_STATUSES, OrderStatus
from orders.wording import STANDSTILLS, STEP_DOING, Tone, failure_words

#: the process is on its way, and a person may stop it or tell it to go another way
STOPPABLE = (MOVING_STATUSES | {OrderStatus.AWAITING_PAYMENT}) - {OrderStatus.UNDOING}


def standing(facts: Facts) -> Standing:
    """The status sentence of an order."""
    tell = _TELL.get(facts.status, _under_way)
    if facts.standstill and facts.status in IN_PROCESS_STATUSES:
        return _standing_still(facts.standstill)
    if facts.cancelled and facts.status in IN_PROCESS_STATUSES - {OrderStatus.UNDOING}:
        return _being_cancelled(facts)
    if facts.held and facts.status in STOPPABLE:
        return _being_held(facts, tell(facts))
    if facts.told and facts.status in STOPPABLE:
        now = tell(facts)
        return replace(now, coming=f"The next attempt does as it was told by {_sentence(facts.told)} {now.coming}")
    if facts.parked and facts.refunding and facts.status not in IN_PROCESS_STATUSES:
        return _parked_refund(facts, tell(facts))
    return tell(facts)


def _standing_still(found: Standstill) -> Standing:
    headline, coming, you_can = STANDSTILLS[found.kind]
    why = f"{_sentence(found.says)} Found by the sweep at {found.since:%d %b %H:%M} UTC."
    return Standing(headline=headline, tone=Tone.TROUBLE, why=why, coming=coming, you_can=you_can)


def _being_cancelled(facts: Facts) -> Standing:
    return Standing(
        headline="Being cancelled.",
        tone=Tone.WAITING,
        why=f"Asked for by {_sentence(facts.cancelled)}",
        coming="A step that is under way ends first; then everything is undone." + _engine_waits(facts),
        you_can="Nothing; the undo begins by itself.",
    )


def _being_held(facts: Facts, now: Standing) -> Standing:
    return Standing(
        headline=f"Holding after the current step. {now.headline}",
        tone=Tone.WAITING,
        why=(_sentence(f"Held by {facts.held}") + f" {now.why}").strip(),
        coming=f"No further step begins until {_release(facts)}.{_engine_waits(facts)}",
        you_can="Release or cancel it.",
    )


def _release(facts: Facts) -> str:
    return _or_at("a person releases it", facts.held_until)


def _or_at(somebody_acts: str, until: datetime | None) -> str:
    return f"{somebody_acts}, or {until:%d %b %H:%M} UTC" if until else somebody_acts


def _engine_waits(facts: Facts) -> str:
    return f" {facts.engine_trouble}" if facts.engine_trouble else ""


def _placed(facts: Facts) -> Standing:
    can = 'Press "Start processing".' if facts.may_start else "Ask somebody who may start orders to start it."
    return Standing(
        headline="Placed. Nobody has asked for its processing yet.",
        tone=Tone.NEUTRAL,
        coming=f"Once started: {counted(facts.line_count, 'line')} reserved, {facts.total} taken, the shipment booked.",
        you_can=can,
    )


def _queued(facts: Facts) -> Standing:
    if facts.engine_trouble:
        return Standing(
            headline="Waiting for the engine, which is not running.",
            tone=Tone.TROUBLE,
            why=facts.engine_trouble,
            coming="The start is recorded and safe; it begins by itself when a worker is back.",
            you_can="Nothing on this page. Whoever runs the system must start a worker.",
        )
    if facts.outbox_error:
        return Standing(
            headline="Waiting to be handed to the engine.",
            tone=Tone.WAITING,
            why=f"Temporal could not be told yet: {_sentence(facts.outbox_error)}",
            coming="It is told again by itself, until it answers.",
            you_can="Nothing; the start is recorded and safe.",
        )
    return Standing(
        headline="Queued. The engine takes it up in a moment.",
        tone=Tone.MOVING,
        coming="The order is checked and its stock reserved.",
        you_can="Nothing; it goes on by itself.",
    )


_DOING = {
    OrderStatus.RESERVING: ("Reserving the stock", "Then the order is checked for fraud."),
    OrderStatus.CHECKING: (
        "Checking for fraud",
        "Then the payment of {total} is taken, unless a person must decide first.",
    ),
    OrderStatus.CHARGING: ("Taking the payment of {total}", "Then the shipment is booked."),
    OrderStatus.SHIPPING: ("Booking the shipment", "Then the sale is booked and the order is complete."),
    OrderStatus.UNDOING: ("Undoing what was done", "The order is closed when everything is undone."),
}


def _under_way(facts: Facts) -> Standing:
    doing, then = _DOING[facts.status]
    headline, then = doing.format(total=facts.total), then.format(total=facts.total)
    undoing = facts.status is OrderStatus.UNDOING
    reason = f"Because {failure_words(facts.failure_type)[0]}: {_sentence(facts.failure_message)} " if undoing else ""
    if facts.engine_trouble:
        return Standing(
            headline=f"{headline}: stopped, the engine is not running.",
            tone=Tone.TROUBLE,
            why=f"{reason}{facts.engine_trouble}",
            coming="It goes on by itself where it stopped when a worker is back.",
            you_can="Nothing on this page. Whoever runs the system must start a worker.",
        )
    step = facts.step
    if step is not None and step.waits and not facts.paused and step.last_error and step.last_error in facts.parked:
        return _parked(step, headline, then, reason, undoing=undoing)
    if step is not None and step.outage is not None and step.waits:
        return _waiting_for_partner(step.outage, headline, then, reason)
    if step is None or not step.last_error:
        late = step is not None and step.attempt > 1
        lost = "The attempt before got lost; the partner is asked what became of it." if late else ""
        return Standing(
            headline=f"{headline}, attempt {step.attempt}." if step and late else f"{headline}.",
            tone=Tone.WAITING if undoing or late else Tone.MOVING,
            why=f"{reason}{lost}".strip(),
            coming=then,
            you_can="Nothing; it goes on by itself.",
        )
    return _retrying(facts, step, headline, then, reason)


def _waiting_for_partner(outage: Outage, headline: str, then: str, reason: str) -> Standing:
    since = f"{outage.since:%d %b %H:%M} UTC"
    if outage.next_try_at is None:
        why, when = f"A person stopped all calls to {outage.partner} at {since}.", "It goes on when they are resumed."
    else:
        why = f"{_sentence(outage.partner)[:-1]} is out of order since {since}; no order is failed by that."
        when = f"The next try is at {outage.next_try_at:%H:%M:%S} UTC; it goes on by itself when one is answered."
    return Standing(
        headline=f"{headline}: waiting for {outage.partner}.",
        tone=Tone.WAITING,
        why=f"{reason}{why}",
        coming=f"{when} {then}",
        you_can="Wait, or look at the partners. Nothing is lost meanwhile, and nothing is done twice.",
    )


def _parked(step: OpenStep, headline: str, then: str, reason: str, *, undoing: bool) -> Standing:
    otherwise = "resolve the task with a reference if it was settled another way" if undoing else "cancel the order"
    return Standing(
        headline=f"{headline}: parked, the partner refuses our request.",
        tone=Tone.TROUBLE,
        why=f"{reason}Attempt {step.attempt} at {STEP_DOING[step.name]}: {_sentence(step.last_error)}",
        coming=f"Asking again does not help until that is mended, so the next attempt by itself comes late. {then}",
        you_can=f'A lead has a task: find out what is wrong and mend it, then press "Retry now"; or {otherwise}.',
    )


def _parked_refund(facts: Facts, now: Standing) -> Standing:
    return replace(
        now,
        headline=f"{now.headline} It is parked: the payment gateway refuses our request.",
        tone=Tone.TROUBLE,
        why=_sentence(facts.parked),
        coming="",
        you_can="A lead has a task: mend what is wrong, or resolve the task with a reference if it was settled another "
        "way.",
    )


def _retrying(facts: Facts, step: OpenStep, headline: str, then: str, reason: str) -> Standing:
    if step.waits:
        last = f"Attempt {step.attempt} at {STEP_DOING[step.name]} failed: {_sentence(step.last_error)}"
        headline = f"{headline}: attempt {step.attempt} failed, the next one follows."
    else:
        last = f"The attempt before failed: {_sentence(step.last_error)}"
        headline = f"{headline}: attempt {step.attempt} is under way."
    if facts.paused:
        return Standing(
            headline=headline.replace("the next one follows", "a person paused it"),
            tone=Tone.WAITING,
            why=f"{reason}Paused by {_sentence(facts.paused)} {last}",
            coming=f"No further attempt is made until {_or_at('a person resumes the step', facts.paused_until)}.",
            you_can="Resume the step, or cancel the order.",
        )
    return Standing(
        headline=headline,
        tone=Tone.WAITING,
        why=f"{reason}{last}",
        coming=f"It is tried again by itself; nothing is done twice, the partner is asked first. {then}",
        you_can="Wait, retry now, or ask the partner whether it has a problem. Nothing is lost meanwhile.",
    )


def _completed(facts: Facts) -> Standing:
    told = _completed_and_paid(facts)
    return money_back.with_dispute(told, facts.disputed, "Completed") if facts.disputed else told


def _completed_and_paid(facts: Facts) -> Standing:
    if facts.owed:
        return Standing(
            headline=f"Completed, but a refund is owed: {facts.owed} did not go back to the customer.",
            tone=Tone.TROUBLE,
            why=f"{_sentence(facts.owed_why)} {_back(facts)}".strip(),
            coming="Nothing more happens by itself; a lead has a task.",
            you_can="Try the refund again, or give the money back another way and resolve the task with its reference.",
        )
    if facts.on_its_way and facts.on_its_way == facts.refunding:
        return money_back.on_its_way("Completed", facts.on_its_way, _back(facts))
    if facts.refunding:
        return Standing(
            headline=f"Completed; a refund of {facts.refunding} is under way.",
            tone=Tone.MOVING,
            why=_back(facts),
            coming="It is sent until the gateway answers, and never twice.",
        )
    returned = facts.returned
    if returned is not None:
        return Standing(
            headline=f"Completed; {returned.headline(facts.refunded)}",
            tone=Tone.WAITING if returned.is_open else Tone.DONE,
            why=_sentence(returned.due_why),
            you_can=returned.you_can,
        )
    back = f" {facts.refunded} went back to the customer." if facts.refunded else ""
    return Standing(headline=f"Completed: {facts.total} paid, goods handed to the carrier.{back}", tone=Tone.DONE)


def _back(facts: Facts) -> str:
    return f"{facts.returned.pieces} came back." if facts.returned and facts.returned.came else ""


def _outstanding(facts: Facts, ended: str) -> Standing:
    """An order that was undone but for its money."""
    if not facts.owed:
        return Standing(
            headline=f"{ended} \u2013 refund outstanding: {facts.refunding} is on its way to the customer.",
            tone=Tone.WAITING,
            why=_sentence(facts.failure_message),
            coming="The gateway tells when it has arrived, mostly within days. If it fails, a lead gets a task."
            if facts.on_its_way
            else "It is sent until the gateway answers, and never twice.",
        )
    return Standing(
        headline=f"{ended} \u2013 refund outstanding: {facts.owed} is owed to the customer.",
        tone=Tone.TROUBLE,
        why=f"{_sentence(facts.failure_message)} {_sentence(facts.owed_why)}".strip(),
        coming="Nothing more happens by itself; a lead has a task.",
        you_can="Try the refund again, or give the money back another way and resolve the task with its reference.",
    )


def _cancelled(facts: Facts) -> Standing:
    told = _cancelled_and_paid_back(facts)
    return money_back.with_dispute(told, facts.disputed, "Cancelled") if facts.disputed else told


def _cancelled_and_paid_back(facts: Facts) -> Standing:
    if facts.owed or facts.refunding:
        return _outstanding(facts, "Cancelled")
    return Standing(
        headline=f"Cancelled. {_money_back(facts)}",
        tone=Tone.NEUTRAL,
        why=_sentence(facts.failure_message),
    )


def _failed(facts: Facts) -> Standing:
    told = _failed_and_paid_back(facts)
    ended = f"Failed: {failure_words(facts.failure_type)[0]}"
    return money_back.with_dispute(told, facts.disputed, ended) if facts.disputed else told


def _failed_and_paid_back(facts: Facts) -> Standing:
    what, can = failure_words(facts.failure_type)
    if facts.owed or facts.refunding:
        return _outstanding(facts, f"Failed: {what}")
    again = facts.placed_as
    return Standing(
        headline=f"Failed: {what}. {_money_back(facts)}",
        tone=Tone.TROUBLE,
        why=_sentence(facts.failure_message),
        coming=f"It was placed again as {again}." if again else "Nothing more happens by itself.",
        you_can=f"Look at {again}." if again else can,
    )


def _money_back(facts: Facts) -> str:
    if facts.kept:
        return f"{facts.kept} was taken and not given back yet."
    return f"{facts.refunded} went back to the customer." if facts.refunded else "No money was taken."


def _on_hold(facts: Facts) -> Standing:
    return Standing(
        headline="On hold: a person stopped it.",
        tone=Tone.WAITING,
        why=_sentence(f"Held by {facts.held}") if facts.held else "",
        coming=f"Nothing moves until {_release(facts)}.",
        you_can="Release or cancel it.",
    )


def _awaiting_payment(facts: Facts) -> Standing:
    if facts.payment_waits is None:
        # The wait has just ended: another payment method is being charged, or the answer is being booked.
        return _under_way(replace(facts, status=OrderStatus.CHARGING))
    return awaiting_payment(facts, facts.payment_waits)


def _in_review(facts: Facts) -> Standing:
    review = facts.review
    if review is None:
        return Standing(
            headline="In review: a verdict is known, the engine obeys it in a moment.",
            tone=Tone.MOVING,
            coming="It goes on by itself." + _engine_waits(facts),
        )
    by = f"{review.deadline_at:%d %b %Y %H:%M} UTC"
    whose = f"{review.owner} has the case" if review.owner else "Nobody has claimed the case"
    asked = f" Open question: {_sentence(review.question)}" if review.question else ""
    if review.first_by:
        you_can = f"Approve it as the second person, or reject it; {review.first_by} approved it already."
    else:
        you_can = "Decide, if you may review orders." + (" Two people must approve." if review.needs_second else "")
    return Standing(
        headline=f"In review: a {'lead' if review.escalated else 'person'} must decide by {by}.",
        tone=Tone.WAITING,
        why=f"{_sentence(review.why)} {whose}.{asked}",
        coming="No money moves before the verdict. "
        + ("Then the default of the rules counts." if review.escalated else "Undecided by then, it goes to the lead."),
        you_can=you_can,
    )


_TELL = {
    OrderStatus.AWAITING_PAYMENT: _awaiting_payment,
    OrderStatus.PLACED: _placed,
    OrderStatus.QUEUED: _queued,
    OrderStatus.IN_REVIEW: _in_review,
    OrderStatus.ON_HOLD: _on_hold,
    OrderStatus.COMPLETED: _completed,
    OrderStatus.CANCELLED: _cancelled,
    OrderStatus.FAILED: _failed,
}


def engine_trouble(seen_at: datetime | None, *, now: datetime, silent_after: timedelta) -> str:
    """Empty while a worker beats; else since when none does."""
    if seen_at is None:
        return "No worker has been seen yet; orders wait."
    silence = now - seen_at
    return "" if silence <= silent_after else f"No worker has been seen for {duration(silence)}; orders wait."


def _sentence(text: str) -> str:
    """An error message as a sentence: first letter large, one full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""
