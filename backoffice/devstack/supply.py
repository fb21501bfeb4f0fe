"""What we ship is made of: a bill of materials, and whether advisories are known about it.

Both read a lock file, as uv sees it: `requirements.run.lock`, which a server installs, or `requirements.lock`, which a
developer does. uv comes with the latter. Every version and hash was chosen there; nothing is resolved anew.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from backoffice.devstack.errors import DevstackError
from backoffice.devstack.paths import ROOT

RUN, DEVELOP = "requirements.run.lock", "requirements.lock"
PIN = re.compile(r"^([A-Za-z0-9._-]+(?:\[[^\]]*\])?==[^\\\n]+?)\s*\\?$", re.MULTILINE)
#: exit codes: advisories are known; nobody could be asked
FOUND, NOT_ASKED = 1, 3
PROJECT = """[project]
name = "backoffice"
version = "0"
requires-python = ">=3.11"
dependencies = [
{pins}]

[tool.uv]
package = false
"""


def sbom(arguments: list[str]) -> int:
    """print a bill of materials (CycloneDX) of what a server installs"""
    chosen = _lock(arguments, "sbom", sbom.__doc__)
    with tempfile.TemporaryDirectory() as folder:
        _project(Path(folder), chosen)
        told = _uv(Path(folder), "export", "--format", "cyclonedx1.5", "--frozen")
    if told.returncode:
        raise DevstackError(f"uv could not write the bill of materials: {told.stderr.strip()}")
    print(told.stdout, end="")
    return 0


def audit(arguments: list[str]) -> int:
    """ask whether advisories are known about the pinned versions; exit 1 names them, 3 means that nobody answered"""
    chosen = _lock(arguments, "audit", audit.__doc__)
    with tempfile.TemporaryDirectory() as folder:
        count = _project(Path(folder), chosen)
        told = _uv(Path(folder), "audit", "--frozen", "--preview-features", "audit-command")
    if told.returncode in (0, FOUND):
        print(told.stdout.strip() or told.stderr.strip())
        known = "advisories are known" if told.returncode else "no advisory is known"
        print(f"{chosen}: {count} pinned versions were asked about; {known}.")
        return FOUND if told.returncode else 0
    why = (told.stderr.strip().splitlines() or ["uv said nothing"])[-1].strip()
    print(f"NOT AUDITED: no source of advisories answered about {chosen} ({why}).", file=sys.stderr)
    return NOT_ASKED


def _lock(arguments: list[str], name: str, says: str | None) -> str:
    parser = argparse.ArgumentParser(prog=f"./dev {name}", description=says)
    parser.add_argument("--develop", action="store_true", help="of what a developer installs as well")
    return DEVELOP if parser.parse_args(arguments).develop else RUN


def _project(folder: Path, lock: str) -> int:
    """Make a project of the pins, which is what uv reads; answers how many there are."""
    pins = PIN.findall((ROOT / lock).read_text())
    lines = "".join(f"    {_quoted(pin)},\n" for pin in pins)
    (folder / "pyproject.toml").write_text(PROJECT.format(pins=lines))
    made = _uv(folder, "lock")
    if made.returncode:
        raise DevstackError(f"uv could not read {lock}: {made.stderr.strip()}")
    return len(pins)


def _quoted(pin: str) -> str:
    return '"{}"'.format(pin.replace('"', "'"))


def _uv(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    line = [str(Path(sys.executable).parent / "uv"), *words, "--project", str(folder), "--no-progress"]
    return subprocess.run(line, capture_output=True, text=True, check=False)
