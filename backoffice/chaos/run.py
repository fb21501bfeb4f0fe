"""`./dev chaos`: orders under faults, then the question whether any promise was broken.

A seed that finds something is repeated with the same command; the line that does it is printed with the violations.
"""

import argparse
import json
import secrets
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from backoffice.chaos import plan as planning
from backoffice.devstack import paths, terminal
from backoffice.devstack.errors import DevstackError

if TYPE_CHECKING:
    from backoffice.chaos.arena import Arena
    from backoffice.chaos.clients import Clients

FAILPOINTS = ("off", "pause", "crash", "each")
#: a control looks for one thing; a terminated workflow, or a job that waits for an engine that is away, is another
ORDERS_ONLY: dict[str, Any] = {"terminated": 0.0, "jobs": False}
#: guards that `unguarded` can take away, each with the orders that come near it
GUARDS: dict[str, planning.Mix] = {
    "fence": planning.Mix(cancelled=0.8, cancel_when="shipping", declined=0.0, unserved=0.0, **ORDERS_ONLY),
    "business_key": planning.Mix(**ORDERS_ONLY),
    "outbox": planning.Mix(engine_away=25.0, **ORDERS_ONLY),
    "shield": planning.Mix(
        cancelled=0.9, cancel_when="undoing", declined=0.0, unserved=0.6, hindered_undo=True, **ORDERS_ONLY
    ),
}
UNGUARDED = "backoffice.chaos.unguarded"
#: a failpoint pauses longer than the timeouts, which are shortened so that a run does not take an hour
#: a run is short: partners that are back must be called again within it
QUICK_BREAKER = {"BREAKER_FIRST_SECONDS": "1", "BREAKER_LONGEST_SECONDS": "4"}
TIMEOUT_SCALE, PARTNER_TIMEOUT, PAUSE_SECONDS = 0.25, 1.0, 9.0
PAUSE_PROBABILITY, CRASH_PROBABILITY = 0.08, 0.012
#: without a fence only an attempt that wakes up after the undo does harm, so it must sleep until then
FENCE_PAUSE_PROBABILITY, FENCE_PAUSE_SECONDS = 0.2, 25.0
TIMELINES_SHOWN = 5


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
    parser.add_argument("--disable", metavar="GUARD", help="take one guard away; the run must then find violations")
    parser.add_argument("--profile", choices=tuple(planning.PROFILES), help="a fixed schedule in place of drawn faults")
    parser.add_argument("--minutes", type=float, help="how long a profile lasts")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    asked = parser.parse_args(arguments)
    for name, low, high in (("orders", 1, 100_000), ("faults", 0, 10_000)):
        if not low <= getattr(asked, name) <= high:
            parser.error(f"--{name} must be {low} to {high}")
    if asked.minutes is not None and (asked.profile is None or not 0 < asked.minutes <= 600):
        parser.error("--minutes must be 0 to 600, and needs a --profile")
    if asked.disable is not None and asked.disable not in GUARDS:
        parser.error(f"the guard {asked.disable!r} cannot be taken away; {', '.join(GUARDS)} can")
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
    mix = GUARDS.get(asked.disable, planning.Mix(cancelled=0.4) if asked.failpoints == "pause" else planning.Mix())
    plan = _plan(asked, mix)
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
    with arenas.kept(folder, asked=asked.keep, say=say) as kept:
        with arenas.running(
            folder, extra=extra, hot_stock=plan.hot_stock, program=program, say=say, with_workers=not each
        ) as arena:
            report = _each(arena, points) if each else _fight(arena, plan, afterwards=_zombies(asked))
        kept.keep = asked.keep or bool(report["violations"])
    report |= {"seed": asked.seed, "seconds": round(time.monotonic() - started, 1)}
    _show(report, asked)
    return verdict.exit_code(report)


def _plan(asked: argparse.Namespace, mix: planning.Mix) -> planning.Plan:
    if asked.profile is None:
        return planning.make(seed=asked.seed, orders=asked.orders, faults=asked.faults, mix=mix)
    seconds = None if asked.minutes is None else 60 * asked.minutes
    return planning.profile(asked.profile, seed=asked.seed, orders=asked.orders, seconds=seconds, mix=mix)


def variables(asked: argparse.Namespace) -> dict[str, str]:
    """What the processes of the arena are told about failpoints and the missing guard."""
    given = QUICK_BREAKER | ({"BACKOFFICE_DISABLE_GUARD": asked.disable} if asked.disable else {})
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

    facts, took = each.strike_each(arena, points, zombies=PAUSE_SECONDS + 1)
    judged = verdict.judge(facts)
    report = {"orders": judged.pop("orders"), "faults": len(facts.acknowledged), **judged}
    _timelines(arena, report)
    return {**report, "drain_seconds": round(took, 1)}


def _fight(arena: "Arena", plan: planning.Plan, *, afterwards: float) -> dict[str, Any]:
    from backoffice.chaos import evidence, verdict
    from backoffice.chaos.clients import Clients
    from backoffice.chaos.faults import Tormentor
    from backoffice.chaos.memory import Memory

    tormentor, memory = Tormentor(arena=arena, say=say), Memory(arena=arena)
    clients = Clients(doors=arena.doors, acknowledgements=arena.home.path / "acknowledged.tsv")
    start = time.monotonic()
    acts = list(plan.acts)
    tormentor.begin()
    clients.begin(plan, start)
    try:
        while (passed := time.monotonic() - start) < plan.seconds or acts or tormentor.aiming:
            while acts and acts[0].at <= passed:
                tormentor.perform(acts.pop(0))
            tormentor.tick()
            arena.tend()
            memory.look()
            _progress(passed, plan, tormentor.done, clients)
            time.sleep(0.02)
        tormentor.end_all()
        say(f"faults are over; {clients.acknowledged} acknowledged, {len(clients.accepted)} cancellations")
        over = time.monotonic()
        calm = evidence.drain(arena, clients, tick=arena.tend)
        drained = time.monotonic() - over
        say(f"drained in {drained:.1f} s" if calm else f"something still moves after {drained:.0f} s")
        arena.tend_for(afterwards)
        terminal.passing("verifying")
        facts = evidence.gather(arena, clients, hits=tormentor.hits)
    finally:
        clients.leave()
    judged = verdict.judge(facts)
    report = {"orders": judged.pop("orders"), "faults": tormentor.done, **judged, "drain_seconds": round(drained, 1)}
    report |= {"memory": memory.report(), "answers_ms": clients.answers_ms(), "clerk": clients.clerk.figures()}
    report["office"] = clients.office.figures()
    _timelines(arena, report)
    return report


def _timelines(arena: "Arena", report: dict[str, Any]) -> None:
    """What happened to the first few that something is wrong with."""
    from backoffice.chaos import evidence

    for number in list(dict.fromkeys(one["subject"] for one in report["violations"]))[:TIMELINES_SHOWN]:
        for line in evidence.timeline(arena, number):
            say(f"  {number}: {line}")


def _progress(passed: float, plan: planning.Plan, done: int, clients: "Clients") -> None:
    bar = "#" * round(30 * min(1.0, passed / plan.seconds))
    terminal.passing(
        f"[{bar:<30}] {passed:4.0f} of {plan.seconds:.0f} s, {done} faults, {clients.acknowledged} orders acknowledged"
    )


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
        print(f" --failpoints {asked.failpoints}" + (f" --disable {asked.disable}" if asked.disable else ""))
    else:
        print("no violations")
