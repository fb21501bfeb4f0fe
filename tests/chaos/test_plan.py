"""The schedule comes from the seed and from nothing else."""

from collections import Counter

import pytest

from backoffice.chaos.plan import BULK_PIECES, HOT_SKU, JOBS, KINDS, UNSERVED_COUNTRY, Mix, Plan, make, profile
from backoffice.chaos.run import GUARDS
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
    assert any("Declined" in body["payment_method"] for body in bodies)
    assert any(one.cancel_after is not None for one in made)


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
        assert all(one.errands.end_after is None for one in made.purchases)


def test_more_is_wanted_of_the_hot_sku_than_there_is() -> None:
    made = plan()
    wanted = sum(line["quantity"] for one in made.purchases for line in one.body["lines"] if line["sku"] == HOT_SKU)
    assert wanted > made.hot_stock


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
