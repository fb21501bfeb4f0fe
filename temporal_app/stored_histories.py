"""The folder of recorded histories: one folder for each released version, with the hashes of what is in it.

A released history is what customers' orders look like in production. Somebody who may record it again can make every
replay test pass while the orders stop; so a recorded file is never overwritten, and an edited one is found by its hash.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

HASHES = "SHA256SUMS"


class AlreadyRecorded(Exception):
    """A history of that name exists; a new way of a workflow is recorded beside the old one."""


def write(folder: Path, name: str, history: dict[str, Any]) -> None:
    """Keep a history under a new name. Raises `AlreadyRecorded`."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.json"
    if file.exists():
        raise AlreadyRecorded(f"{file} exists; what was released is never recorded again. Choose another name.")
    file.write_text(json.dumps(history, indent=1, sort_keys=True) + "\n")
    list_new(folder)


def list_new(folder: Path) -> None:
    """Write down the hashes of files that have none yet; a hash that is there stays, whatever became of its file."""
    hashes = {file.name: hash_of(file) for file in folder.glob("*.json")} | known_hashes(folder)
    (folder / HASHES).write_text("".join(f"{value}  {key}\n" for key, value in sorted(hashes.items())))


def known_hashes(folder: Path) -> dict[str, str]:
    """What `sha256sum -c` reads, as hash by file name."""
    file = folder / HASHES
    lines = file.read_text().splitlines() if file.exists() else []
    return {name: value for value, name in (line.split("  ", 1) for line in lines)}


def hash_of(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def tampered(folder: Path) -> list[str]:
    """Names in one version's folder that were edited, taken away, or put in by hand."""
    known = known_hashes(folder)
    present = {file.name: hash_of(file) for file in folder.glob("*.json")}
    return sorted(name for name in {*known, *present} if known.get(name) != present.get(name))
