"""The commands `manage`, `test` and `check`: the project's own tools, with the services they need around them.

Tests get a home and a PostgreSQL of their own, so that a test run can neither read nor delete the orders of the running
back office, and two test runs at once do not share a database.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backoffice.devstack import foreground, postgres, terminal
from backoffice.devstack.database_use import borrowed
from backoffice.devstack.environment import OWNERS, environment, wire
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import ROOT, Home, home, try_lock

MANAGE = str(ROOT / "manage.py")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def manage(arguments: list[str]) -> int:
    """run a Django command with the addresses of the running services"""
    place = home().create()
    command = [sys.executable, MANAGE, *arguments]
    with borrowed(place) as supervised:
        given = environment(place, wire(place))
        if not supervised:
            return foreground.run(command, given)
    # Nothing is left to do afterwards, so become the command: its exit code, terminal and signals are its own.
    return os.execve(command[0], command, given)


# --- tests ------------------------------------------------------------------------------------------------------------
@contextlib.contextmanager
def home_for_tests() -> Iterator[Home]:
    """Take a free home for one test run; a second run at the same time gets another."""
    base = home().create()
    for number in range(1, 9):
        place = Home(path=base.path / ("test" if number == 1 else f"test-{number}")).create()
        lock = try_lock(place.supervisor_lock)
        if lock is not None:
            with lock:
                yield place
            return
    raise DevstackError("eight test runs are already going on")


@contextlib.contextmanager
def environment_for_tests() -> Iterator[dict[str, str]]:
    """Yield the environment tests run in, with a database that lives as long as the block."""
    with home_for_tests() as place:
        # The caller's Temporal, simulator and running back office are not for tests; a database it names is (CI).
        outer = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("TEMPORAL_", "BACKOFFICE_", "SIMULATOR_", "DJANGO_", "WORKER_"))
        }
        given = environment(place, wire(place, outer), outer)
        for name in ("TEMPORAL_ADDRESS", "TEMPORAL_UI_URL", "SIMULATOR_URL", "WORKER_READY_FILE", *OWNERS):
            given.pop(name, None)
        given.update({"BACKOFFICE_ENV": "test", "BACKOFFICE_TEST_HOME": str(place.path)})
        browser = find_browser()
        if browser:
            given["BACKOFFICE_CHROMIUM"] = browser
        if outer.get("DATABASE_URL"):
            yield given
        else:
            terminal.passing("starting PostgreSQL for the tests")
            postgres.stop(place)
            with postgres.running_as_child(place, fsync=False) as url:
                terminal.clear()
                yield {**given, "DATABASE_URL": url}


def find_browser() -> str | None:
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


#: fast ones first: a broken rule shows in seconds, not after servers have started
WITHOUT_SERVERS = ("tests/architecture", "tests/orders", "tests/activities", "tests/replay", "tests/chaos")
#: tests that start servers, the longest ones first
WITH_SERVERS = ("tests/browser", "tests/e2e", "tests/workflows", "tests/devstack", "tests/simulator")
CORES = os.cpu_count() or 2
#: one process a core
COMPUTING = ("-n", str(CORES))
#: One more, for they wait a third of their time. Servers are shared by the tests of a file, so each file has one
#: process, and a long file must not be the last to begin.
WAITING = ("-n", str(CORES + 1), "--dist", "loadfile", "--no-loadscope-reorder")


def test(arguments: list[str]) -> int:
    """run the tests; arguments go to pytest"""
    if find_browser() is None:
        terminal.say("test", "no Chromium here: browser tests are left out. To have them:")
        terminal.say("test", "apt-get install -y --no-install-recommends chromium fonts-liberation")
    pytest = [sys.executable, "-m", "pytest"]
    with environment_for_tests() as given:
        if arguments:
            return foreground.run([*pytest, *arguments], given, cwd=ROOT)
        # A failure in the first half ends the run early.
        return foreground.run([*pytest, *COMPUTING, *WITHOUT_SERVERS], given, cwd=ROOT) or foreground.run(
            [*pytest, *WAITING, *WITH_SERVERS], given, cwd=ROOT
        )


# --- checks -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of `./dev check`."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    #: it takes minutes and tells on stderr how far it is
    tells_progress: bool = False


def _tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _production() -> dict[str, str]:
    """Settings as a careful operator would give them, so that the deploy check judges our defaults and nothing else."""
    return {
        "BACKOFFICE_ENV": "production",
        "DJANGO_SECRET_KEY": secrets.token_urlsafe(64),
        "DJANGO_DEBUG": "0",
        "DJANGO_ALLOWED_HOSTS": "backoffice.example",
        "DJANGO_CSRF_TRUSTED_ORIGINS": "https://backoffice.example",
        "BACKOFFICE_BASE_URL": "https://backoffice.example",
        "TEMPORAL_ADDRESS": "temporal.example:7233",
        "TEMPORAL_TLS": "true",
        "BACKOFFICE_PAYLOAD_KEYS": f"check:{secrets.token_urlsafe(32)}",
        "BACKOFFICE_PERSONAL_DATA_KEYS": f"check:{secrets.token_urlsafe(32)}",
        "BACKOFFICE_DIGEST_KEYS": f"check:{secrets.token_urlsafe(32)}",
        "STRIPE_API_KEY": "sk_live_check",
        "PAYMENTS_URL": "https://payments.example",
        "PAYMENT_RETURN_URL": "https://shop.example/paid",
        "STRIPE_WEBHOOK_SECRETS": "whsec_check",
        "CARRIER_URL": "https://carrier.example",
        "FRAUD_URL": "https://fraud.example",
        "RATES_URL": "https://rates.example",
        "ADDRESSES_URL": "https://addresses.example",
        "SIMULATOR_URL": "",
        "EMAIL_HOST": "mail.example",
        "EMAIL_USE_TLS": "1",
    }


_CHAOS = (
    *(sys.executable, "-P", "-m", "backoffice.devstack", "chaos"),
    *("--orders", "60", "--faults", "12", "--seed", "1"),
)


def checks() -> list[Check]:
    django = (sys.executable, MANAGE)
    return [
        Check(name="ruff check", command=(_tool("ruff"), "check", ".")),
        Check(name="ruff format", command=(_tool("ruff"), "format", "--check", ".")),
        Check(name="mypy", command=(_tool("mypy"),)),
        Check(name="import rules", command=(_tool("lint-imports"),)),
        Check(
            name="deploy check",
            command=(*django, "check", "--deploy", "--fail-level", "WARNING"),
            environment=_production(),
        ),
        Check(name="migrations", command=(*django, "makemigrations", "--check", "--dry-run")),
        Check(name="recorded histories", command=(*django, "replay")),
        Check(
            name="replay and architecture",
            command=(sys.executable, "-m", "pytest", "-q", "tests/replay", "tests/architecture"),
        ),
        Check(name="chaos", command=_CHAOS, environment={"BACKOFFICE_HOME": str(home().path)}, tells_progress=True),
    ]


def check(arguments: list[str]) -> int:
    """lint, types, import rules, deploy check, migrations, replay, a small chaos run"""
    wanted = [check for check in checks() if not arguments or any(word in check.name for word in arguments)]
    if not wanted:
        raise DevstackError(f"no check matches {' '.join(arguments)}; there are: {', '.join(c.name for c in checks())}")
    failed = []
    with environment_for_tests() as given:
        for one in wanted:
            terminal.passing(f"checking: {one.name}")
            started = time.monotonic()
            done = subprocess.run(
                one.command,
                env={**given, **one.environment},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if one.tells_progress else subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
            terminal.clear()
            print(f"{'ok  ' if done.returncode == 0 else 'FAIL'} {one.name:<26} {time.monotonic() - started:6.1f} s")
            if done.returncode != 0:
                failed.append(one.name)
                print("".join(f"     {line}\n" for line in done.stdout.splitlines()), end="")
            sys.stdout.flush()
    print(f"failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0
