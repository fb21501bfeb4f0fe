"""The embedded PostgreSQL is found, shared and restarted whatever happened before."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from backoffice.devstack import postgres
from backoffice.devstack.paths import ROOT, Home
from backoffice.devstack.postgres_place import place
from tests.devstack.conftest import discard, wait_until

pytestmark = pytest.mark.devstack

STARTER = """
import sys
from pathlib import Path
from backoffice.devstack import postgres
from backoffice.devstack.paths import Home
home = Home(path=Path(sys.argv[1]))
postgres.ensure(home)
print(postgres.postmaster(home).pid)
"""
BORROWER = """
import sys, time
from pathlib import Path
from backoffice.devstack import postgres
from backoffice.devstack.paths import Home
home = Home(path=Path(sys.argv[1]))
with postgres.running_as_child(home, fsync=False):
    print(postgres.postmaster(home).pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """One data folder for the whole module; each test leaves it usable."""
    made = Home(path=tmp_path_factory.mktemp("postgres") / "home")
    postgres.ensure(made)
    yield made
    discard(made)


def python(code: str, home: Home) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, str(home.path)], env=environment, stdout=subprocess.PIPE, text=True
    )


def setting(home: Home, name: str) -> str:
    with psycopg.connect(postgres.url(home)) as connection:
        row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
        assert row is not None
        return str(row[0])


def test_first_start_answers_on_loopback_only_and_keeps_what_it_promises(server: Home) -> None:
    postgres.ensure(server)

    assert setting(server, "listen_addresses") == "127.0.0.1"
    assert setting(server, "unix_socket_directories") == ""
    assert setting(server, "fsync") == "on"
    assert setting(server, "server_encoding") == "UTF8"


def test_another_password_is_refused(server: Home) -> None:
    postgres.ensure(server)
    port = postgres.port_of(server)

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"postgres://backoffice:guess@127.0.0.1:{port}/backoffice")


def test_files_with_secrets_are_private(server: Home) -> None:
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in (server.secrets, server.ports)} == {
        "secrets.json": "0o600",
        "ports.json": "0o600",
    }


def test_four_starters_at_once_share_one_server(server: Home) -> None:
    postgres.stop(server)

    starters = [python(STARTER, server) for _ in range(4)]
    pids = {starter.communicate(timeout=30)[0].strip() for starter in starters}

    assert len(pids) == 1
    assert [starter.returncode for starter in starters] == [0] * 4


def test_committed_data_is_there_after_kill_9(server: Home) -> None:
    address = postgres.ensure(server)
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    before = postgres.postmaster(server)
    assert before is not None

    os.kill(before.pid, signal.SIGKILL)
    again = postgres.ensure(server)

    after = postgres.postmaster(server)
    assert after is not None
    assert after.pid != before.pid
    assert again == address
    with psycopg.connect(again) as connection:
        assert connection.execute("SELECT count(*) >= 1 FROM kept").fetchone() == (True,)


def test_a_pid_file_that_names_a_stranger_stops_nothing_and_kills_nobody(server: Home) -> None:
    postgres.stop(server)
    asked = place(server)
    stranger = subprocess.Popen(["sleep", "600"], **asked.run_as())
    try:
        pid_file = asked.data / "postmaster.pid"
        pid_file.write_text(f"{stranger.pid}\n{asked.data}\n1\n{postgres.port_of(server)}\n\n127.0.0.1\n")
        if asked.uid is not None:
            os.chown(pid_file, asked.uid, asked.gid or 0)

        postgres.ensure(server)

        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_nothing_outside_the_home_changes_its_permissions(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    home = Home(path=private / "checkout" / ".dev")
    parents = [private, *private.parents]
    before = [parent.stat().st_mode for parent in parents]
    try:
        home.create()
        postgres.create_data(home)

        assert [parent.stat().st_mode for parent in parents] == before
        if os.geteuid() == 0:
            assert home.outside.exists(), "root's data must be where the other account reaches it"
    finally:
        discard(home)


def test_a_borrowed_server_dies_with_its_borrower(server: Home) -> None:
    if sys.platform != "linux":
        pytest.skip("the parent-death signal exists on Linux only")
    postgres.stop(server)
    borrower = python(BORROWER, server)
    assert borrower.stdout is not None
    assert borrower.stdout.readline().strip().isdigit()

    borrower.kill()
    borrower.communicate()

    wait_until(lambda: postgres.postmaster(server) is None, "the server is gone")


def test_a_half_made_data_folder_is_made_again(home: Home) -> None:
    asked = place(home)
    asked.data.parent.mkdir(exist_ok=True)
    left = asked.data.with_name("data.new")
    left.mkdir()
    (left / "PG_VERSION").write_text("18\n")
    if asked.uid is not None:
        shutil.chown(left, asked.uid, asked.gid)

    postgres.create_data(home)

    assert (asked.data / "global").is_dir()
    assert not left.exists()
