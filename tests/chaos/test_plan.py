"""The schedule comes from the seed and from nothing else."""

from collections import Counter

import pytest

from backoffice.chaos import methods
from backoffice.chaos.acts import BEYOND, EVENT_FAULTS, KINDS
from backoffice.chaos.methods import USUAL, kind_of
from backoffice.chaos.plan import BULK_PIECES, HOT_SKU, JOBS, UNSERVED_COUNTRY, Mix, Plan, make, profile
from backoffice.chaos.run import GUARDS
from simulator import methods as simulated
from simulator.faults import parse_rule


def plan(*, seed: int = 1, orders: int = 300, faults: int = 40, mix: Mix | None = None) -> Plan:
    return make(seed=seed, orders=orders, faults=faults, mix=mix or Mix())


def test_the_same_seed_gives_the_same_run() -> None:
    assert plan() == plan()


def test_another_seed_gives_another_run() -> None:
    assert plan(seed=1).acts != plan(seed=2).acts
    assert plan(seed=1).purchases != plan(seed=2).purchases


def test_more_orders_do_not_change_the_faults() -> None:
    kinds = [[(act.kind, act.target) for act in plan(orders=orders).acts] for orders in (1, 300)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("seed", range(5))
def test_every_kind_of_fault_happens_once_there_is_room_for_all(seed: int) -> None:
    assert {act.kind for act in plan(seed=seed, faults=len(KINDS)).acts} == set(KINDS)


def test_the_schedule_has_as_many_acts_as_asked_for_and_they_lie_within_the_run() -> None:
    made = plan(faults=40)
    assert len(made.acts) == 40
    assert list(made.acts) == sorted(made.acts, key=lambda act: act.at)
    assert all(0 <= act.at <= made.seconds for act in made.acts)
    assert plan(faults=0).acts == ()


def test_the_simulator_takes_every_rule() -> None:
    rules = [act.rule for seed in range(20) for act in plan(seed=seed, orders=1).acts if act.rule]
    assert len(rules) > 50
    for rule in rules:
        parse_rule(rule)


def test_each_client_has_a_key_of_its_own_and_the_mix_has_all_fates() -> None:
    made = plan().purchases
    assert len({one.key for one in made}) == len(made) == 300
    bodies = [one.body for one in made]
    assert any(body["ship_to_country"] == UNSERVED_COUNTRY for body in bodies)
    assert {kind_of(body["payment_method"]) for body in bodies} == {*methods.KINDS, USUAL}
    assert any(one.cancel_after is not None for one in made)


def test_the_share_of_methods_that_are_not_plain_success_is_the_one_asked_for() -> None:
    for share in (0.0, 0.3, 1.0):
        kinds = [kind_of(one.body["payment_method"]) for one in plan(orders=600, mix=Mix(methods=share)).purchases]
        assert abs(sum(kind != USUAL for kind in kinds) / len(kinds) - share) < 0.05


def test_the_gateway_knows_every_method_and_each_does_what_its_kind_says() -> None:
    for kind in methods.KINDS.values():
        for token in kind.tokens:
            known = simulated.find(token)
            assert known is not None, token
            assert kind.waits == (known.is_debit or known.authenticates is not None), token
            assert kind.refundable == (known.refund == "succeeds" and known.dispute is None), token
    assert {methods.PLAIN, methods.SLOW} <= simulated.METHODS.keys()


def test_staff_change_the_method_of_some_orders_that_wait_and_of_no_debit() -> None:
    made = plan().purchases
    for one in made:
        kind = methods.KINDS.get(kind_of(one.body["payment_method"]))
        assert one.errands.waits == bool(kind and kind.waits)
        assert not one.errands.another_method or (kind and kind.can_change)
        if kind and not kind.refundable:
            assert (one.errands.comes_back, one.errands.playbook) == (False, False)
        if kind and kind.refunded:
            assert one.errands.refund_minor
    assert any(one.errands.another_method for one in made)
    assert any(one.cancel_when == "awaiting_payment" and not one.cancel_at_engine for one in made)


def test_events_are_lost_late_doubled_and_out_of_order() -> None:
    modes = {act.rule["mode"] for seed in range(20) for act in plan(seed=seed, orders=1).acts if act.kind == "events"}
    assert modes == set(EVENT_FAULTS)


def test_the_clerk_has_every_kind_of_errand_and_what_it_decides_is_suspicious() -> None:
    made = plan().purchases
    errands = [one.errands for one in made]
    assert {one.verdict for one in errands} == {"", "approve", "reject"}
    assert any(one.hold_after is not None for one in errands)
    assert any(one.refund_minor for one in errands)
    assert any(one.comes_back for one in errands)
    assert any(one.playbook for one in errands)
    assert any(one.end_after is not None for one in errands)
    for one in made:
        bulk = any(line["quantity"] >= BULK_PIECES for line in one.body["lines"])
        assert bulk == (one.body["customer"] is None) == bool(one.errands.verdict)


def test_the_office_does_every_job_within_the_run_and_more_often_in_a_longer_one() -> None:
    made = plan(orders=80)
    assert Counter(job.kind for job in made.jobs) == dict.fromkeys(JOBS, 3)
    assert list(made.jobs) == sorted(made.jobs, key=lambda job: job.at)
    assert all(0 < job.at < made.seconds for job in made.jobs)
    assert profile("steady", seed=1, orders=80, seconds=None, mix=Mix()).jobs


def test_there_is_no_job_over_a_handful_of_orders_nor_in_a_control() -> None:
    assert plan(orders=9).jobs == ()
    for mix in GUARDS.values():
        made = plan(mix=mix)
        assert made.jobs == ()
        assert not {act.kind for act in made.acts} & BEYOND
        assert all(one.errands.end_after is None for one in made.purchases)


def test_more_is_wanted_of_the_hot_sku_than_there_is() -> None:
    made = plan()
    wanted = sum(line["quantity"] for one in made.purchases for line in one.body["lines"] if line["sku"] == HOT_SKU)
    assert wanted > made.hot_stock


def test_an_engine_that_loses_its_data_does_so_once_in_the_middle() -> None:
    made = plan(mix=Mix(engine_lost=True))
    assert [act.at for act in made.acts if act.kind == "lose engine"] == [made.seconds / 2]
    assert not [act for act in plan().acts if act.kind == "lose engine"]


def test_a_database_is_set_back_to_a_minute_before_with_orders_on_every_side_of_both_moments() -> None:
    made = plan(orders=60, faults=6, mix=Mix(restored=True))
    copied, restored = [act.at for act in made.acts if "database" in act.kind]
    assert restored - copied == 60
    assert made.purchases[0].at < copied
    assert restored < made.purchases[-1].at
    assert not [act for act in plan().acts if "database" in act.kind]


def test_a_slow_partner_is_one_that_orders_call_and_a_wrong_clock_is_wrong_either_way() -> None:
    acts = [act for seed in range(30) for act in plan(seed=seed, orders=1).acts]
    slow = {act.rule["partner"] for act in acts if act.kind == "slow partner"}
    assert slow == {"payments", "carrier", "fraud"}
    shifts = [act.shift for act in acts if act.kind == "wrong clock"]
    assert min(shifts) <= -600
    assert max(shifts) >= 600
    assert all(600 <= abs(shift) <= 3600 and act.seconds for shift, act in zip(shifts, acts, strict=False) if act.shift)


def test_an_engine_that_is_away_is_one_act_more() -> None:
    away = [act for act in plan(mix=Mix(engine_away=20)).acts if act.kind == "take away"]
    assert [(act.target, act.seconds) for act in away] == [("temporal", 20)]


def test_a_hindered_undo_is_one_act_more() -> None:
    made = plan(mix=Mix(hindered_undo=True))
    assert len(made.acts) == 41
    assert made.acts[0].rule["operation"] == "refunds.create"


def test_the_outages_leave_room_for_one_another_and_orders_come_all_the_time() -> None:
    made = profile("outages", seed=1, orders=200, seconds=None, mix=Mix())
    ends = [act.at + act.seconds for act in made.acts]
    assert all(end < later.at for end, later in zip(ends, made.acts[1:], strict=False))
    assert ends[-1] < made.seconds
    assert [act.kind for act in made.acts].count("kill postgres") == 10
    assert made.purchases[0].at < 10 < made.seconds - 10 < made.purchases[-1].at
