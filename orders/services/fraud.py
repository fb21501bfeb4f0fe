"""Is this order suspicious? Rules of our own and the partner's score, added up before money moves.

The rules are data (`FraudRules`, one row a version), so that a lead can change them and an old score stays explained.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta

from django.db.models import Max

from orders import clock, failpoints, fence, history
from orders.actor import Actor
from orders.amounts import counted, money
from orders.errors import PartnerUnavailable, RequestRefused
from orders.models import Command, FraudCheck, FraudRules, Order, ReviewCase
from orders.partners import breaker
from orders.partners import fraud as partner
from orders.services import commands, parking, predecessors
from orders.services.commands import require_free_way
from orders.services.process import note_retry
from orders.vocabulary import CommandKind, EventType, OrderStatus, PartnerCode, StepName


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A rule that an order meets."""

    rule: str
    points: int
    #: why, for people; no personal data
    says: str


def current_rules() -> FraudRules:
    """The newest version; a database without any gets the rules that the product comes with."""
    # Two workers that find none write the same rules twice: two versions that say the same.
    return FraudRules.objects.order_by("-version").first() or FraudRules.objects.create()


def own_hits(order: Order, rules: FraudRules) -> list[Hit]:
    """The hits of our own rules."""
    hits = []
    if order.total_minor > rules.total_over_minor:
        limit = money(rules.total_over_minor, order.currency)
        hits.append(Hit(rule="total", points=rules.total_points, says=f"The total is over {limit}"))
    largest = order.lines.aggregate(n=Max("quantity"))["n"] or 0
    if largest >= rules.line_pieces:
        hits.append(Hit(rule="line", points=rules.line_points, says=f"One line has {counted(largest, 'piece')}"))
    if order.customer_id is None:
        hits.append(Hit(rule="guest", points=rules.guest_points, says="The customer is a guest"))
    return hits


def check(order_id: str, *, actor: Actor) -> bool:
    """Score the order, and open a review case when it is suspicious; answers whether it is.

    Raises `OnHold`, `CancelAsked`, `PartnerUnavailable` (retry), `RequestRefused` (parked), `StepMissing` (not
    due), `StepVoided` or `StaleAttempt`.
    """
    held = fence.claim(order_id, StepName.FRAUD)
    if held.is_done:
        return FraudCheck.objects.values_list("suspicious", flat=True).get(order_id=order_id)
    require_free_way(order_id)
    with fence.progress(held):
        predecessors.require_due(history.lock_order(order_id), held.name)
    order = Order.objects.select_related("customer__key").get(pk=order_id)
    asked_at = clock.now()
    skip = commands.standing(order_id, CommandKind.STEP_SKIP)
    score = None if skip else _ask(held, order, actor=actor)
    failpoints.reach(held.key, held.token, "effect")
    rules = current_rules()
    hits = own_hits(order, rules)
    if score is not None and score.points >= rules.partner_hit_from:
        says = "; ".join(score.reasons) or "no reason given"
        hits.append(Hit(rule="partner", points=score.points, says=f"The fraud partner: {says}"[:300]))
    points = sum(hit.points for hit in hits)
    found = FraudCheck(
        order=order,
        rules=rules,
        score=points,
        suspicious=points >= rules.suspicious_from,
        hits=[asdict(hit) for hit in hits],
        partner_score=score.points if score else None,
        partner_reasons=list(score.reasons) if score else [],
        partner_asked_at=asked_at if score else None,
    )
    with fence.commit(held, {"score": points}):
        order = history.lock_order(order_id)
        _settle(order, found, skip, actor=actor)
        parking.mended(held, order, actor=actor, skipped=skip is not None)
    return found.suspicious


def _ask(held: fence.Claim, order: Order, *, actor: Actor) -> partner.Score:
    try:
        with breaker.attempt(PartnerCode.FRAUD, subject=held.order_id):
            return partner.score(
                str(order.pk),
                amount_minor=order.total_minor,
                currency=order.currency,
                country=order.ship_to_country,
                email=order.customer.email if order.customer else "",
            )
    except PartnerUnavailable as error:
        note_retry(held, error, actor=actor)
        raise
    except RequestRefused as error:
        parking.park(held, error, actor=actor)
        raise


def _settle(order: Order, found: FraudCheck, skip: Command | None, *, actor: Actor) -> None:
    found.order = order
    found.save(force_insert=True)
    before = order.status
    order.move_to(OrderStatus.IN_REVIEW if found.suspicious else OrderStatus.CHARGING)
    said = "; ".join(hit["says"] for hit in found.hits) or "No rule was hit"
    if skip is not None:
        said += f". The partner was skipped by {skip.actor}: {skip.reason}"
    history.record(
        order,
        EventType.FRAUD_CHECKED,
        actor=actor,
        reason=f"{counted(found.score, 'point')}: {said}",
        step=StepName.FRAUD,
        status_before=before,
        data={"score": found.score, "rules": found.rules_id, "partner_score": found.partner_score},
    )
    asked = commands.standing(order.pk, CommandKind.STEP_SKIP)
    if skip is not None:
        commands.finish(Command.objects.filter(pk=skip.pk), "Checked by our own rules only.")
    elif asked is not None:
        commands.leave_alone(order, asked, "The fraud partner answered meanwhile.", actor=actor)
    if found.suspicious:
        _open_case(order, found.rules, actor=actor)


def _open_case(order: Order, rules: FraudRules, *, actor: Actor) -> None:
    case = ReviewCase.objects.create(
        order=order,
        deadline_at=clock.now() + timedelta(hours=rules.review_hours),
        needs_second=order.total_minor > rules.second_person_over_minor,
    )
    two = "; two people must approve it" if case.needs_second else ""
    history.record(
        order,
        EventType.REVIEW_OPENED,
        actor=actor,
        reason=f"A person must decide within {counted(rules.review_hours, 'hour')}{two}",
        data={"deadline_at": case.deadline_at.isoformat()},
    )
