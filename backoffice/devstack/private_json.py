"""Small JSON files only their owner may read, replaced in one step.

Passwords, ports and the supervisor's state live in them. Without the atomic replace a `status` that reads while the
supervisor writes would see half a file; without the mode every local user could read the database password.
"""

import json
import os
from pathlib import Path
from typing import Any


def read(path: Path) -> dict[str, Any]:
    """Return the object in the file, empty when there is no file yet."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"{path} does not hold a JSON object")
    return value


def write(path: Path, value: dict[str, Any]) -> None:
    """Replace the file; a reader sees the old or the new content, never a part."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    # O_EXCL with the mode at birth: a file that is made readable and narrowed later is readable for a moment.
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(value, stream, indent=1)
        stream.write("\n")
    os.replace(fresh, path)
