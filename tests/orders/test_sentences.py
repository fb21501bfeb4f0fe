from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from orders.amounts import duration, money, price
from orders.facts import Facts, OpenStep, Outage, PaymentWaiting
from orders.sentences import engine_trouble, standing
from orders.vocabulary import EventType, FailureType, OrderStatus, PaymentWait, StepName
from orders.wording import EVENT_TITLES, STATUS_TONES, STEP_DOING, STEP_TITLES, Tone, event_amounts

NOW = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
NO_WORKER = "No worker has been seen for 3 min; orders wait."


def facts(status: OrderStatus, **changes: object) -> Facts:
    known = {"now": NOW, "status": status, "since": NOW, "total": "£20.00", "line_count": 2}
    return Facts(**{**known, **changes})  # type: ignore[arg-type]


def failing(name: StepName, *, attempt: int = 4, waits: bool = True) -> OpenStep:
    claimed = NOW - timedelta(seconds=10)
    failed_at = claimed + timedelta(seconds=5 if waits else -5)
    return OpenStep(
        name=name, attempt=attempt, claimed_at=claimed, last_error="the gateway answered 503", last_error_at=failed_at
    )


@pytest.mark.parametrize("status", list(OrderStatus))
def test_every_status_has_a_sentence_and_a_tone(status: OrderStatus) -> None:
    told = standing(facts(status))

    assert told.headline.endswith(".")
    assert told.tone.sign
    assert STATUS_TONES[status].sign


@pytest.mark.parametrize(
    ("status", "headline"),
    [
        (OrderStatus.PLACED, "Placed. Nobody has asked for its processing yet."),
        (OrderStatus.QUEUED, "Queued. The engine takes it up in a moment."),
        (OrderStatus.RESERVING, "Reserving the stock."),
        (OrderStatus.CHARGING, "Taking the payment of £20.00."),
        (OrderStatus.SHIPPING, "Booking the shipment."),
        (OrderStatus.COMPLETED, "Completed: £20.00 paid, goods handed to the carrier."),
        (OrderStatus.ON_HOLD, "On hold: a person stopped it."),
        (OrderStatus.IN_REVIEW, "In review: a verdict is known, the engine obeys it in a moment."),
    ],
)
def test_headline_says_what_is_happening(status: OrderStatus, headline: str) -> None:
    assert standing(facts(status)).headline == headline


def test_words_exist_for_every_event_and_step() -> None:
    assert set(EVENT_TITLES) == set(EventType)
    assert set(STEP_TITLES) == set(STEP_DOING) == set(StepName)


def test_retrying_step_tells_attempt_error_and_that_it_goes_on_by_itself() -> None:
    told = standing(facts(OrderStatus.CHARGING, step=failing(StepName.CHARGE)))

    assert told.headline == "Taking the payment of £20.00: attempt 4 failed, the next one follows."
    assert told.why == "Attempt 4 at taking the payment failed: The gateway answered 503."
    assert "by itself" in told.coming
    assert told.tone is Tone.WAITING


@pytest.mark.parametrize(
    ("next_try_at", "why", "coming"),
    [
        (
            NOW + timedelta(seconds=42),
            "The carrier is out of order since 14 Nov 11:00 UTC",
            "next try is at 12:00:42 UTC",
        ),
        (None, "A person stopped all calls to the carrier at 14 Nov 11:00 UTC", "when they are resumed"),
    ],
    ids=["out of order", "held"],
)
def test_step_behind_an_outage_tells_since_when_and_the_next_try(
    next_try_at: datetime | None, why: str, coming: str
) -> None:
    outage = Outage(partner="the carrier", since=NOW - timedelta(hours=1), next_try_at=next_try_at)

    told = standing(facts(OrderStatus.SHIPPING, step=replace(failing(StepName.SHIP), outage=outage)))

    assert told.headline == "Booking the shipment: waiting for the carrier."
    assert why in told.why
    assert coming in told.coming


def test_attempt_under_way_after_failures_is_not_called_failed() -> None:
    told = standing(facts(OrderStatus.SHIPPING, step=failing(StepName.SHIP, waits=False)))

    assert told.headline == "Booking the shipment: attempt 4 is under way."


def test_attempt_after_a_lost_one_says_that_the_partner_is_asked() -> None:
    step = OpenStep(name=StepName.CHARGE, attempt=2, claimed_at=NOW)

    assert "asked what became of it" in standing(facts(OrderStatus.CHARGING, step=step)).why


@pytest.mark.parametrize(
    "status", [OrderStatus.QUEUED, OrderStatus.RESERVING, OrderStatus.CHARGING, OrderStatus.UNDOING]
)
def test_without_a_worker_the_engine_is_the_reason(status: OrderStatus) -> None:
    told = standing(facts(status, engine_trouble=NO_WORKER, failure_message="no stock"))

    assert "not running" in told.headline
    assert NO_WORKER in told.why
    assert "by itself" in told.coming


def test_queued_order_whose_start_is_not_handed_over_says_so() -> None:
    told = standing(facts(OrderStatus.QUEUED, outbox_error="connection refused"))

    assert told.why == "Temporal could not be told yet: Connection refused."


def test_undo_names_its_reason() -> None:
    told = standing(
        facts(
            OrderStatus.UNDOING,
            failure_type=FailureType.OUT_OF_STOCK,
            failure_message="SKU-1: wanted 3, available 1",
            step=failing(StepName.REFUND),
        )
    )

    assert told.why.startswith("Because there was not enough stock: SKU-1: wanted 3, available 1.")
    assert "cancelling or refunding the payment" in told.why


@pytest.mark.parametrize("failure", [*FailureType, ""])
def test_failed_order_says_why_and_what_to_do(failure: str) -> None:
    told = standing(facts(OrderStatus.FAILED, failure_type=failure, failure_message="card refused"))

    assert told.headline.startswith("Failed: ")
    assert told.why == "Card refused."
    assert told.tone is Tone.TROUBLE
    assert told.you_can or failure == FailureType.CANCELLED


@pytest.mark.parametrize(
    ("money_facts", "said"),
    [
        ({}, "No money was taken."),
        ({"refunded": "£20.00"}, "£20.00 went back to the customer."),
        ({"kept": "£5.00", "refunded": "£15.00"}, "£5.00 was taken and not given back yet."),
    ],
)
def test_closed_order_says_where_the_money_is(money_facts: dict[str, str], said: str) -> None:
    assert said in standing(facts(OrderStatus.CANCELLED, **money_facts)).headline
    assert said in standing(facts(OrderStatus.FAILED, **money_facts)).headline


def test_what_you_can_do_depends_on_the_permission() -> None:
    assert "Start processing" in standing(facts(OrderStatus.PLACED, may_start=True)).you_can
    assert "Ask somebody" in standing(facts(OrderStatus.PLACED)).you_can


def test_worker_counts_as_gone_after_its_silence() -> None:
    silent = timedelta(seconds=20)

    assert engine_trouble(NOW - timedelta(seconds=19), now=NOW, silent_after=silent) == ""
    assert "for 3 min" in engine_trouble(NOW - timedelta(minutes=3), now=NOW, silent_after=silent)
    assert "yet" in engine_trouble(None, now=NOW, silent_after=silent)


def test_amounts_and_spans_read_as_people_write_them() -> None:
    assert money(123456, "GBP") == "£1,234.56"
    assert price(Decimal("0.8550"), "GBP") == "£0.855"
    assert [duration(timedelta(seconds=s)) for s in (-5, 59, 60, 3_720, 90_000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h 2 min",
        "1 day",
    ]


def test_figures_of_an_event_are_said_in_words() -> None:
    data: dict[str, object] = {"amount_minor": 2000, "pieces": 1, "tracking_number": "T1", "claim": 3, "odd": None}

    assert event_amounts(data, "GBP") == ["£20.00", "1 piece", "tracking T1"]


# --- Payments that wait -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("whom", list(PaymentWait))
def test_a_payment_that_waits_says_for_whom_until_when_and_what_can_be_done(whom: PaymentWait) -> None:
    waits = PaymentWaiting(whom=whom, since=NOW, until=NOW + timedelta(days=3), has_link=True, gateway_status="odd")

    told = standing(facts(OrderStatus.AWAITING_PAYMENT, payment_waits=waits))

    assert told.headline.startswith("Stopped" if whom is PaymentWait.PERSON else "Waiting for the ")
    assert told.why
    assert ("17 Nov 2026" in told.coming) is (whom is not PaymentWait.PERSON)
    assert "cancel the order" in told.you_can


def test_an_order_that_waits_for_its_payment_and_is_held_says_so() -> None:
    waits = PaymentWaiting(whom=PaymentWait.BANK, since=NOW)

    told = standing(facts(OrderStatus.AWAITING_PAYMENT, payment_waits=waits, held="anna: look at it"))

    assert told.headline.startswith("Holding after the current step.")
