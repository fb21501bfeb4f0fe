"""The order workflow as a version would have it that changed it without a patch."""

import importlib
import itertools
from pathlib import Path

import pytest

from temporal_app.workflows import order

_numbers = itertools.count(1)


def changed_order_workflow(before: str, after: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> type:
    """The workflow with the change made in its source, in a module of its own, so that the sandbox can import it."""
    source = Path(order.__file__).read_text()
    assert source.count(before) == 1, f"the order workflow no longer has these lines once: {before}"
    name = f"changed_order_{next(_numbers)}"
    (folder / f"{name}.py").write_text(source.replace(before, after))
    monkeypatch.syspath_prepend(str(folder))
    changed: type = importlib.import_module(name).OrderWorkflow
    return changed
