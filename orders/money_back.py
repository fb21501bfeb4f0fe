"""Sentences about money of a closed order that is on its way back, owed or disputed: facts in, a standing out."""

from __future__ import annotations

from dataclasses import replace

from orders.facts import Disputed, Standing
from orders.vocabulary import DisputeStatus
from orders.wording import Tone


def with_dispute(told: Standing, disputed: Disputed, ended: str) -> Standing:
    """The standing of an order that has ended as `ended`, with its dispute before everything else."""
    since = f"{disputed.opened_at:%d %b %Y}"
    why = f"The reason given is: {disputed.reason}. {told.why}".strip()
    if disputed.status is DisputeStatus.LOST:
        return replace(
            told,
            headline=f"{ended}; {disputed.amount} were lost in a dispute and are with the customer.",
            why=why,
        )
    due = disputed.evidence_due_at
    until = f"The gateway takes evidence until {due:%d %b %Y %H:%M} UTC. " if due else ""
    asks = disputed.status is DisputeStatus.INQUIRY
    what = f"asks about {disputed.amount}" if asks else f"has taken {disputed.amount} back"
    return Standing(
        headline=f"{ended}, but disputed: the customer's bank {what}, since {since}.",
        tone=Tone.TROUBLE,
        why=why,
        coming=f"{until}Then the bank decides.",
        you_can="Send the evidence at the gateway; a lead has a task."
        + ("" if asks else " A disputed payment cannot be refunded."),
    )


def on_its_way(ended: str, amount: str, why: str) -> Standing:
    """A refund that the gateway has taken and not ended."""
    return Standing(
        headline=f"{ended}; a refund of {amount} is on its way to the customer.",
        tone=Tone.WAITING,
        why=why,
        coming="The gateway tells when it has arrived, mostly within days. If it fails, a lead gets a task.",
        you_can="Nothing; it goes on by itself.",
    )
