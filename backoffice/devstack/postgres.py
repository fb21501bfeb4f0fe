"""Start, find and stop the embedded PostgreSQL of one home.

The servers' own Python packages trust the pid file and the process that started them; both lie after `kill -9`. Here a
server counts as running when it answers a query with our password from our data folder, and as stopped when no process
works in that folder. Without this a crash leaves developers deleting pid files by hand, which can corrupt data.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from backoffice.devstack import ports, processes
from backoffice.devstack.environment import remembered_secrets
from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home, locked
from backoffice.devstack.postgres_place import Place, place

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # No socket file: its path is limited to 107 bytes, which a deep checkout exceeds.
    "unix_socket_directories": "",
    # Two busy workers take about a hundred each; the roles share it out (backoffice.database_roles).
    "max_connections": "400",
    "fsync": "on",
    "timezone": "UTC",
}
#: started by `ensure`; kept so that this process reaps them instead of leaving zombies that look alive
_started: list[subprocess.Popen[bytes]] = []


def port_of(home: Home) -> int:
    return ports.remembered(home, "postgres") or ports.choose(home, "postgres")


def url(home: Home) -> str:
    return f"postgres://backoffice:{remembered_secrets(home)['postgres_password']}@127.0.0.1:{port_of(home)}/backoffice"


def answers(home: Home) -> bool:
    """True when the server of *this* home answers a query; another server on the port does not count."""
    try:
        with psycopg.connect(url(home), connect_timeout=2, autocommit=True) as connection:
            row = connection.execute("SELECT setting FROM pg_settings WHERE name = 'data_directory'").fetchone()
            return row is not None and row[0] == str(place(home).data)
    except psycopg.Error:
        return False


def minimal_environment() -> dict[str, str]:
    """PG* variables of the caller would redirect the programs; the locale must not depend on who calls."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ") if name in os.environ}
    return {"PATH": "/usr/bin:/bin", **kept, "LC_ALL": "C"}


def _run(asked: Place, command: list[str], text: str | None = None) -> None:
    done = subprocess.run(
        command,
        input=text,
        text=True,
        cwd=asked.data.parent,
        env=minimal_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        **asked.run_as(),
    )
    if done.returncode != 0:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise DevstackError(f"{Path(command[0]).name} failed: {last}")


def create_data(home: Home) -> Place:
    """Make the data folder with the account and the database in it; a half-made one is thrown away."""
    asked = place(home)
    if asked.uid is None:
        asked.data.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(asked.data.parent, os.W_OK):
            raise DevstackError(f"{asked.data.parent} belongs to another user; set BACKOFFICE_HOME to your own folder")
    if asked.data.exists():
        return asked
    fresh = asked.data.with_name("data.new")
    shutil.rmtree(fresh, ignore_errors=True)
    password_file = asked.data.with_name("password")
    password_file.unlink(missing_ok=True)
    handle = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(remembered_secrets(home)["postgres_password"] + "\n")
    if asked.uid is not None and asked.gid is not None:
        os.chown(password_file, asked.uid, asked.gid)
    try:
        options = ["--auth=scram-sha-256", f"--pwfile={password_file}", "--username=backoffice", "--encoding=UTF8"]
        options += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        _run(asked, [asked.program("initdb"), f"--pgdata={fresh}", *options])
    finally:
        password_file.unlink(missing_ok=True)
    _run(asked, [asked.program("postgres"), "--single", "-D", str(fresh), "postgres"], "CREATE DATABASE backoffice;\n")
    fresh.rename(asked.data)
    return asked


def _pid_in_file(asked: Place) -> int | None:
    try:
        return int((asked.data / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, IndexError, ValueError):
        return None


def postmaster(home: Home) -> processes.Identity | None:
    """Return the running postmaster of this home; a pid file that names a stranger or a zombie does not count."""
    asked = place(home)
    pid = _pid_in_file(asked)
    return next((found for found in processes.working_in(asked.data) if found.pid == pid), None)


def clear_the_way(home: Home) -> None:
    """Remove what a crash left: backends of a dead postmaster, and a pid file that names a stranger.

    PostgreSQL itself refuses to start while the pid in the file is alive, whoever that is. Removing the file is only
    safe when nobody works in the data folder any more, so that is made true first.
    """
    asked = place(home)
    for number, patience in ((signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0)):
        for orphan in processes.working_in(asked.data):
            orphan.send(number)
        deadline = time.monotonic() + patience
        while processes.working_in(asked.data) and time.monotonic() < deadline:
            time.sleep(0.05)
    if processes.working_in(asked.data):
        raise DevstackError(f"processes of an earlier PostgreSQL still use {asked.data}")
    (asked.data / "postmaster.pid").unlink(missing_ok=True)


def command(home: Home, port: int, *, fsync: bool = True) -> list[str]:
    """Return the server's own command line, to be run as the account of `place`; makes the data on first use."""
    asked = create_data(home)
    settings = {**SETTINGS, "port": str(port), "fsync": "on" if fsync else "off"}
    if not fsync:
        settings.update({"synchronous_commit": "off", "full_page_writes": "off"})
    return [asked.program("postgres"), "-D", str(asked.data), *(f"--{key}={value}" for key, value in settings.items())]


def ensure(home: Home, *, fsync: bool = True, seconds: float = 120) -> str:
    """Return the URL of a server that answers, starting one when there is none. Safe to call from many processes."""
    home.create()
    with locked(home.postgres_lock):
        if answers(home):
            return url(home)
        running = postmaster(home)
        if running is None:
            child = _launch(home, fsync=fsync, death_signal=0)
            _started.append(child)
            wait_until_ready(home, child, seconds)
        else:
            # It recovers from a crash, or is still starting for somebody who was killed meanwhile.
            wait_until_ready(home, running, seconds)
    return url(home)


def _launch(home: Home, *, fsync: bool, death_signal: int) -> subprocess.Popen[bytes]:
    _reap()
    clear_the_way(home)
    asked = place(home)
    server = command(home, ports.choose(home, "postgres"), fsync=fsync)
    line = processes.wrap(server, death_signal=death_signal, uid=asked.uid, gid=asked.gid)
    with open(home.logs / "postgres.log", "ab") as log:
        return subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", env=minimal_environment(),
            start_new_session=True,
        )  # fmt: skip


def _reap() -> None:
    _started[:] = [child for child in _started if child.poll() is None]


def wait_until_ready(home: Home, server: subprocess.Popen[bytes] | processes.Identity, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not answers(home):
        gone = not server.alive() if isinstance(server, processes.Identity) else server.poll() is not None
        if gone:
            raise DevstackError(f"PostgreSQL stopped while starting; see {home.logs / 'postgres.log'}")
        if time.monotonic() > deadline:
            raise DevstackError(f"PostgreSQL does not answer after {seconds:.0f} s; see {home.logs / 'postgres.log'}")
        time.sleep(0.05)


def stop(home: Home, grace: float = 10) -> bool:
    """Stop the server of this home, whoever started it; False when none was running."""
    with locked(home.postgres_lock):
        running = postmaster(home)
        if running is None:
            return False
        running.send(signal.SIGINT)  # fast shutdown: open transactions are rolled back, nothing is lost
        deadline = time.monotonic() + grace
        while running.alive():
            _reap()
            if time.monotonic() > deadline:
                clear_the_way(home)
                break
            time.sleep(0.05)
        _reap()
        return True


@contextlib.contextmanager
def running_as_child(home: Home, *, fsync: bool = True) -> Iterator[str]:
    """Run a server of our own for the duration of the block; it dies with this process, even by `kill -9`."""
    home.create()
    child = _launch(home, fsync=fsync, death_signal=signal.SIGINT)
    try:
        wait_until_ready(home, child, 120)
        yield url(home)
    finally:
        child.send_signal(signal.SIGINT)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
