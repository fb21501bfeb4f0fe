"""PgBouncer in transaction mode before the test database, configured as Debian packages it but for addresses."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit

import pytest

from backoffice.database_roles import Role
from backoffice.devstack import http_probe
from tests.accounts import account_url
from tests.e2e.engine import eventually
from tests.e2e.gate import Gate

#: connections to PostgreSQL of one account, whatever its processes ask for
SIZE = 6
CONFIGURATION = """
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/accounts
pool_mode = transaction
default_pool_size = {size}
max_client_conn = 200
"""
ACCOUNTS = (Role.WEB, Role.WORKER)


def program() -> str:
    """Skips the test where it is not installed."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if found is None:
        pytest.skip("no PgBouncer here; apt-get install -y --no-install-recommends pgbouncer")
    return found


class Pooler(Gate):
    """A door that shares connections out instead of passing them on."""

    def __init__(self, port: int) -> None:
        self.port = port

    def shut(self) -> None:
        raise NotImplementedError


@contextmanager
def running() -> Iterator[Pooler]:
    """One for the accounts of web and worker, on a port of its own."""
    with TemporaryDirectory(prefix="pooler-") as name, socket.create_server(("127.0.0.1", 0)) as free:
        folder, port = Path(name), free.getsockname()[1]
        free.close()
        known = [urlsplit(account_url(role)) for role in ACCOUNTS]
        accounts = "".join(f'"{unquote(one.username or "")}" "{unquote(one.password or "")}"\n' for one in known)
        (folder / "accounts").write_text(accounts)
        server = {"host": known[0].hostname, "server_port": known[0].port}
        configuration = CONFIGURATION.format(**server, port=port, folder=folder, size=SIZE)
        (folder / "pgbouncer.ini").write_text(configuration)
        command = [program(), str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:
            # It refuses to run as root.
            nobody = pwd.getpwnam("nobody")
            for path in (folder, *folder.iterdir()):
                os.chown(path, nobody.pw_uid, nobody.pw_gid)
            command[1:1] = ["-u", "nobody"]
        with open(folder / "log", "ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            eventually(lambda: http_probe.accepts("127.0.0.1", port) or process.poll() is not None, what="PgBouncer")
            assert process.poll() is None, (folder / "log").read_text()
            yield Pooler(port)
        finally:
            process.terminate()
            process.wait()
