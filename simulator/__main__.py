"""Start the stand-in partners: `python -m simulator --host 127.0.0.1 --port 8200 --store simulator.sqlite3`.

SIGTERM and SIGINT stop the process within two seconds even when callers hang on it; without that a stack that stops in
order would wait for its own fault switches.
"""

import argparse
import logging
import os
import signal
import sqlite3
import sys
import threading
import time
from pathlib import Path

from simulator import webhooks
from simulator.deliveries import Deliveries
from simulator.partners import Simulator
from simulator.server import Server
from simulator.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; the first line on standard output is `simulator ready <url>`."""
    parser = argparse.ArgumentParser(prog="simulator", description="Stand-in partners over HTTP")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=8200, help="port to listen on, 0 for a free one")
    parser.add_argument("--store", type=Path, required=True, help="SQLite file of the partners' books")
    parser.add_argument("--seed", default="0", help="what seeded declines and fraud scores are drawn from")
    parser.add_argument("--allow-reset", action="store_true", help="let DELETE /store clear the books (tests)")
    parser.add_argument("--events-url", help="webhook endpoint that gets every event")
    parser.add_argument(
        "--events-secret",
        default=os.environ.get("SIMULATOR_EVENTS_SECRET"),
        help="what its events are signed with (default: SIMULATOR_EVENTS_SECRET)",
    )
    options = parser.parse_args(arguments)
    if options.events_url and not options.events_secret:
        parser.error("--events-url needs --events-secret, or SIMULATOR_EVENTS_SECRET")
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    stopping = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopping.set())
    try:
        store = Store(options.store)
    except (OSError, RuntimeError, sqlite3.Error) as error:
        parser.exit(1, f"simulator: cannot open the store: {error}\n")
    try:
        server = Server((options.host, options.port))
    except OSError as error:
        parser.exit(1, f"simulator: cannot listen on {options.host}:{options.port}: {error}\n")
    url = f"http://{options.host}:{server.server_port}"
    server.simulator = Simulator(
        store=store, seed=options.seed, base_url=url, allow_reset=options.allow_reset, stopping=stopping
    )
    webhooks.keep_command_line_endpoint(store, options.events_url, options.events_secret, int(time.time()))
    threading.Thread(target=server.simulator.run_clock, name="clock", daemon=True).start()
    Deliveries(store, server.simulator.clock, stopping).start()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="accept", daemon=True).start()
    print(f"simulator ready {url}", flush=True)
    stopping.wait()
    server.shutdown()
    server.server_close()
    store.close(patience_seconds=1.0)
    return 0


if __name__ == "__main__":
    code = main()
    # Not sys.exit: threads that serve a hanging caller may be inside SQLite, and the interpreter must not be
    # taken down around them.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
