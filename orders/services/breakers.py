"""What staff do to the calls of a partner: stop them, let the next one try, or resume them.

Each is a command with who and why, and one change of the partner's row. What waits sees it when it looks again, within
half a minute and the time that the set rate asks for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models.functions import Coalesce, Now

from orders.actor import Actor
from orders.amounts import counted
from orders.errors import InvalidInput, WrongState
from orders.models import PartnerHealth
from orders.partners import breaker
from orders.services import commands
from orders.vocabulary import BreakerState, CommandKind, PartnerCode
from orders.wording import PARTNERS


def hold(partner: PartnerCode, *, actor: Actor, reason: str) -> PartnerHealth:
    """Stop all calls until somebody lets one try or resumes them. Raises `WrongState` when they are stopped."""
    return _change(
        partner,
        CommandKind.PARTNER_HOLD,
        refused_in={BreakerState.HELD: "The calls to {name} are held since {since}."},
        outcome="Calls to {name} are held.",
        change={"state": BreakerState.HELD, "opened_at": Coalesce("opened_at", Now()), "next_try_at": None},
        actor=actor,
        reason=reason,
    )


def probe(partner: PartnerCode, *, actor: Actor, reason: str) -> PartnerHealth:
    """Let the next call try now: its answer resumes all calls, its failure stops them again."""
    return _change(
        partner,
        CommandKind.PARTNER_PROBE,
        refused_in={
            BreakerState.CLOSED: "Calls to {name} are not stopped; there is nothing to try.",
            BreakerState.HALF_OPEN: "A call tries {name} just now.",
        },
        outcome="The next call tries {name}.",
        change={"state": BreakerState.OPEN, "next_try_at": Now()},
        actor=actor,
        reason=reason,
    )


def close(partner: PartnerCode, *, actor: Actor, reason: str) -> PartnerHealth:
    """Resume all calls at once; failures are counted from zero."""
    return _change(
        partner,
        CommandKind.PARTNER_CLOSE,
        refused_in={BreakerState.CLOSED: "Calls to {name} are not stopped."},
        outcome="Calls to {name} are resumed.",
        change={**breaker.CLOSED, **breaker.NO_FAILURES},
        actor=actor,
        reason=reason,
    )


def _change(
    partner: PartnerCode,
    kind: CommandKind,
    *,
    refused_in: dict[BreakerState, str],
    outcome: str,
    change: dict[str, Any],
    actor: Actor,
    reason: str,
) -> PartnerHealth:
    actor.require("orders.drive_breaker")
    if not reason.strip():
        raise InvalidInput("reason", "Say why; it is kept with the command.")
    with transaction.atomic():
        PartnerHealth.objects.get_or_create(pk=partner)
        row = PartnerHealth.objects.select_for_update().get(pk=partner)
        name = PARTNERS[partner]
        if row.state in refused_in:
            raise WrongState(refused_in[BreakerState(row.state)].format(name=name, since=_when(row.opened_at)))
        # The generation makes what calls under way have to say about the time before no news.
        PartnerHealth.objects.filter(pk=partner).update(**{**change, "generation": row.generation + 1})
        waiting = counted(breaker.parked(partner).count(), "order")
        commands.record(kind, None, actor=actor, reason=reason, done=f"{outcome.format(name=name)} {waiting} waited.")
        row.refresh_from_db()
    return row


def _when(at: datetime | None) -> str:
    return f"{at:%d %b %H:%M} UTC" if at else "now"
