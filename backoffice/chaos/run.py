"""`./dev chaos`: orders under faults, then the question whether any promise was broken.

A seed that finds something is repeated with the same command; the line that does it is printed with the violations.
"""

import argparse
import dataclasses
import json
import secrets
import signal
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backoffice.chaos import plan as planning
from backoffice.chaos import poisons
from backoffice.chaos.acts import PLACES, PROFILES
from backoffice.chaos.gateway_days import DEADLINES
from backoffice.devstack import paths, terminal
from backoffice.devstack.errors import DevstackError

if TYPE_CHECKING:
    from backoffice.chaos.arena import Arena

FAILPOINTS = ("off", "pause", "crash", "each")
#: a control looks for one thing; a terminated workflow, or a job that waits for an engine that is away, is another
ORDERS_ONLY: dict[str, Any] = {"terminated": 0.0, "jobs": False, "beyond": False}
#: guards that `unguarded` can take away, each with the orders that come near it
GUARDS: dict[str, planning.Mix] = {
    "fence": planning.Mix(cancelled=0.8, cancel_when="shipping", methods=0.0, unserved=0.0, **ORDERS_ONLY),
    "business_key": planning.Mix(methods=0.0, **ORDERS_ONLY),
    "outbox": planning.Mix(methods=0.0, engine_away=25.0, **ORDERS_ONLY),
    "shield": planning.Mix(
        cancelled=0.9,
        cancel_when="undoing",
        cancel_at_engine=True,
        methods=0.0,
        unserved=0.6,
        hindered_undo=True,
        **ORDERS_ONLY,
    ),
    "state": planning.Mix(methods=0.8, **ORDERS_ONLY),
    "predecessor": planning.Mix(methods=0.0, suspicious=0.4, **ORDERS_ONLY),
    "authenticity": planning.Mix(methods=0.0, suspicious=0.4, refunded=0.9, **ORDERS_ONLY),
}
#: without these a stranger does harm, so it does little else
STRANGERS_GUARDS = frozenset({"predecessor", "authenticity"})
STRANGERS_HASTE = 0.05
UNGUARDED = "backoffice.chaos.unguarded"
#: as many orders as one half of a run has
MOST_POISON = 0.5
#: a failpoint pauses longer than the timeouts, which are shortened so that a run does not take an hour
#: a run is short: partners that are back must be called again within it
QUICK_BREAKER = {"BREAKER_FIRST_SECONDS": "1", "BREAKER_LONGEST_SECONDS": "4"}
TIMEOUT_SCALE, PARTNER_TIMEOUT, PAUSE_SECONDS = 0.25, 1.0, 9.0
PAUSE_PROBABILITY, CRASH_PROBABILITY = 0.08, 0.012
#: without a fence only an attempt that wakes up after the undo does harm, so it must sleep until then
FENCE_PAUSE_PROBABILITY, FENCE_PAUSE_SECONDS = 0.2, 25.0


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise DevstackError(f"chaos: {message}")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Raises `DevstackError` with one line for whatever is wrong."""
    parser = Parser(
        prog="./dev chaos", description="Orders under faults; exit 1 on any violation, 2 when nothing was proved."
    )
    parser.add_argument("--orders", type=int, default=60, help="how many simulated clients order")
    parser.add_argument("--faults", type=int, default=12, help="how many acts the schedule has")
    parser.add_argument("--seed", type=int, default=1, help="what both are drawn from")
    parser.add_argument("--failpoints", choices=FAILPOINTS, help="also stop or kill steps in the middle")
    parser.add_argument("--methods", type=float, help="share of orders whose payment method is not plain success")
    parser.add_argument("--poison", type=float, help="share of orders that are refused for good")
    parser.add_argument("--lose-engine", action="store_true", help="have Temporal lose its data in the middle")
    parser.add_argument("--restore", action="store_true", help="set the database back to a minute before, near the end")
    parser.add_argument("--no-stranger", action="store_true", help="leave out the stranger at Temporal's port")
    parser.add_argument("--disable", metavar="GUARD", help="take one guard away; the run must then find violations")
    parser.add_argument("--profile", choices=tuple(PROFILES), help="a fixed schedule in place of drawn faults")
    parser.add_argument("--minutes", type=float, help="how long a profile lasts")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    asked = parser.parse_args(arguments)
    for name, low, high in (("orders", 1, 100_000), ("faults", 0, 10_000)):
        if not low <= getattr(asked, name) <= high:
            parser.error(f"--{name} must be {low} to {high}")
    if asked.methods is not None and not 0 <= asked.methods <= 1:
        parser.error("--methods must be 0 to 1")
    if asked.poison is not None and not 0 < asked.poison <= MOST_POISON:
        parser.error(f"--poison must be over 0 and at most {MOST_POISON}, for all of it comes in one half of the run")
    switched = [asked.poison is not None, asked.lose_engine, asked.restore]
    if any(switched) and (asked.failpoints == "each" or asked.profile or asked.disable):
        parser.error("--poison, --lose-engine and --restore go with drawn faults only")
    if sum(switched) > 1:
        parser.error("--poison, --lose-engine and --restore are a run of their own each")
    if asked.minutes is not None and (asked.profile is None or not 0 < asked.minutes <= 600):
        parser.error("--minutes must be 0 to 600, and needs a --profile")
    if asked.disable is not None and asked.disable not in GUARDS:
        parser.error(f"the guard {asked.disable!r} cannot be taken away; {', '.join(GUARDS)} can")
    if asked.no_stranger and asked.disable in STRANGERS_GUARDS:
        parser.error(f"without a stranger nobody notices that the guard {asked.disable!r} is missing")
    if asked.failpoints is None:
        # Measured: without pauses a missing fence is not noticed, and a missing key is noticed by luck.
        asked.failpoints = "pause" if asked.disable in {"fence", "business_key"} else "off"
    return asked


def chaos(arguments: list[str]) -> int:
    """orders under kills, freezes and partner faults, then a check that nothing was lost"""
    asked = parse(arguments)
    # These load an HTTP client; `./dev` itself must stay quick and need nothing.
    from backoffice.chaos import arena as arenas
    from backoffice.chaos import verdict

    folder = paths.Home(path=paths.home().create().path / f"chaos-{asked.seed}-{secrets.token_hex(3)}")
    started = time.monotonic()
    plan = _plan(asked, mix_of(asked))
    extra, program = variables(asked), UNGUARDED if asked.disable else ""
    each = asked.failpoints == "each"
    if each:
        say("one order for each failpoint")
        points = folder.create().path / "failpoints"
        points.mkdir()
        extra |= {"BACKOFFICE_FAILPOINTS": f"listed:{PAUSE_SECONDS}:{points}"}
    else:
        say(f"seed {asked.seed}: {asked.orders} orders, {len(plan.acts)} faults within {plan.seconds:.0f} s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with arenas.kept(folder, asked=asked.keep, say=say) as kept:
            with arenas.running(
                folder, extra=extra, hot_stock=plan.hot_stock, program=program, say=say, with_workers=not each
            ) as arena:
                report = _each(arena, points) if each else _fight(arena, plan, asked)
            kept.keep = asked.keep or bool(report["violations"])
    except DevstackError:
        raise
    except Exception:
        # An uncaught error would end with 1, as a control must that has found something.
        traceback.print_exc()
        say("the run itself failed: it proves nothing")
        return verdict.NOTHING_PROVED
    report |= {"seed": asked.seed, "seconds": round(time.monotonic() - started, 1)}
    _show(report, asked)
    return verdict.exit_code(report)


def _plan(asked: argparse.Namespace, mix: planning.Mix) -> planning.Plan:
    if asked.profile is None:
        return planning.make(seed=asked.seed, orders=asked.orders, faults=asked.faults, mix=mix)
    seconds = None if asked.minutes is None else 60 * asked.minutes
    return planning.profile(asked.profile, seed=asked.seed, orders=asked.orders, seconds=seconds, mix=mix)


def mix_of(asked: argparse.Namespace) -> planning.Mix:
    """Which orders the run has."""
    mix = GUARDS.get(asked.disable, planning.Mix(cancelled=0.4) if asked.failpoints == "pause" else planning.Mix())
    mix = mix if asked.methods is None else dataclasses.replace(mix, methods=asked.methods)
    return dataclasses.replace(mix, poison=asked.poison or 0.0, engine_lost=asked.lose_engine, restored=asked.restore)


def variables(asked: argparse.Namespace) -> dict[str, str]:
    """What the processes of the arena are told about failpoints and the missing guard."""
    given = QUICK_BREAKER | DEADLINES | ({"BACKOFFICE_DISABLE_GUARD": asked.disable} if asked.disable else {})
    if asked.poison:
        given[PLACES] = str(poisons.PLACES)
    if asked.failpoints in {"pause", "each"}:
        given |= {"BACKOFFICE_TIMEOUT_SCALE": str(TIMEOUT_SCALE), "PARTNER_TIMEOUT_SECONDS": str(PARTNER_TIMEOUT)}
    if asked.failpoints == "pause":
        probability = FENCE_PAUSE_PROBABILITY if asked.disable == "fence" else PAUSE_PROBABILITY
        given["BACKOFFICE_FAILPOINTS"] = f"pause:{probability}:{_pause(asked)}:{asked.seed}"
    elif asked.failpoints == "crash":
        given["BACKOFFICE_FAILPOINTS"] = f"crash:{CRASH_PROBABILITY}:{asked.seed}"
    return given


def say(words: str) -> None:
    terminal.say("chaos", words)


def _zombies(asked: argparse.Namespace) -> float:
    """How long to wait before the verdict: an attempt that wakes up after it would do its damage unseen."""
    return _pause(asked) + 1 if asked.failpoints == "pause" else 0.0


def _pause(asked: argparse.Namespace) -> float:
    return FENCE_PAUSE_SECONDS if asked.disable == "fence" else PAUSE_SECONDS


def _each(arena: "Arena", points: Path) -> dict[str, Any]:
    from backoffice.chaos import each, verdict
    from backoffice.chaos.fight import tell_timelines

    facts, took = each.strike_each(arena, points, zombies=PAUSE_SECONDS + 1)
    judged = verdict.judge(facts)
    report = {"orders": judged.pop("orders"), "faults": len(facts.acknowledged), **judged}
    tell_timelines(arena, report, say=say)
    return {**report, "drain_seconds": round(took, 1)}


def _fight(arena: "Arena", plan: planning.Plan, asked: argparse.Namespace) -> dict[str, Any]:
    from backoffice.chaos.fight import Fight
    from backoffice.chaos.intrusion import PAUSE_SECONDS as STRANGERS_PAUSE
    from backoffice.chaos.intrusion import Intrusion

    haste = STRANGERS_HASTE if asked.disable in STRANGERS_GUARDS else STRANGERS_PAUSE
    stranger = Intrusion(address=arena.wiring.temporal_address, folder=arena.home.path, seed=plan.seed, pause=haste)
    return Fight(
        arena=arena,
        plan=plan,
        say=say,
        stranger=None if asked.no_stranger else stranger,
        zombies=_zombies(asked),
    ).report()


def _show(report: dict[str, Any], asked: argparse.Namespace) -> None:
    for one in report["violations"]:
        say(f"VIOLATION {one['rule']}: {one['subject']}: {one['detail']}")
    if asked.json:
        print(json.dumps(report))
        return
    for name, value in report.items():
        if name != "violations":
            print(f"{name:<17} {value}")
    if report["violations"]:
        print(f"again with: ./dev chaos --orders {asked.orders} --faults {asked.faults} --seed {asked.seed}", end="")
        print(
            f" --failpoints {asked.failpoints}"
            + (f" --disable {asked.disable}" if asked.disable else "")
            + (f" --methods {asked.methods}" if asked.methods is not None else "")
            + (f" --poison {asked.poison}" if asked.poison else "")
            + (" --lose-engine" if asked.lose_engine else "")
            + (" --restore" if asked.restore else "")
        )
    else:
        print("no violations")
