"""`./dev bench`: how fast, in how much memory, and whether either depends on how many there are.

A figure of one machine says little about another, and on a busy one it says little about itself. So what matters is a
ratio of two measurements of the same run: per order at four times as many, children against chunks. The run measures
one thing twice, and calls itself noisy when the two differ.
"""

import argparse
import json
import secrets
import signal
import time
from typing import Any

from backoffice.chaos.run import Parser
from backoffice.devstack import paths, terminal

#: what can be measured; the first two share their orders
NAMES = ("chunks", "children", "import", "export")


def parse(arguments: list[str]) -> argparse.Namespace:
    """Raises `DevstackError` with one line for whatever is wrong."""
    parser = Parser(prog="./dev bench", description="Batches, import and export, measured on servers of their own.")
    parser.add_argument("name", nargs="?", choices=NAMES, help="measure this one only")
    parser.add_argument(
        "--orders", type=int, default=500, help="of the smaller batch by chunks; the larger has four times"
    )
    parser.add_argument("--children", type=int, default=40, help="orders of the batch with a process for each")
    parser.add_argument("--rows", type=int, default=4_000, help="of the imported file")
    parser.add_argument("--json", action="store_true", help="print the report as one JSON object")
    parser.add_argument("--keep", action="store_true", help="keep the folder with data and logs")
    asked = parser.parse_args(arguments)
    # A call names at most ten thousand orders, and a batch below the first small chunk measures nothing.
    for name, low, high in (("orders", 50, 2_500), ("children", 1, 10_000), ("rows", 100, 541_909)):
        if not low <= getattr(asked, name) <= high:
            parser.error(f"--{name} must be {low} to {high}")
    return asked


def bench(arguments: list[str]) -> int:
    """measure batches, import and export: rates, memory, history events, and their ratios"""
    asked = parse(arguments)
    # These load an HTTP client; `./dev` itself must stay quick and need nothing.
    from backoffice.bench.measures import Bench
    from backoffice.chaos import arena as arenas
    from backoffice.chaos.memory import Memory

    folder = paths.Home(path=paths.home().create().path / f"bench-{secrets.token_hex(3)}")
    started = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with arenas.kept(folder, asked=asked.keep, say=say) as kept:
        with arenas.running(folder, extra={}, hot_stock=1_000, program="", say=say) as arena:
            bench = Bench(arena=arena, memory=Memory(arena=arena))
            for name in (asked.name,) if asked.name else NAMES:
                terminal.passing(f"measuring: {name}")
                bench.measure(name, orders=asked.orders, children=asked.children, rows=asked.rows)
            report = bench.report()
        kept.keep = asked.keep
    _show(report | {"seconds": round(time.monotonic() - started, 1)}, as_json=asked.json)
    return 0


def say(words: str) -> None:
    terminal.say("bench", words)


def _show(report: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report))
        return
    for row in report["rows"]:
        events = f", {row['history_events']} history events" if "history_events" in row else ""
        print(f"{row['name']:<22} {row['count']:>7} in {row['seconds']:>7} s: {row['per_second']:>8} a second{events}")
    for name, value in report["ratios"].items():
        print(f"{name:<40} {value}")
    for name, figures in report["memory"].items():
        print(f"{name:<22} {figures['most_mb']} MB at most")
    if report["noisy"]:
        print("noisy: the same measurement differed by more than a half within this run; only the ratios say something")
