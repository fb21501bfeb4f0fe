"""Fingerprints of the code that running workflows depend on, function by function.

A recorded history proves only the ways it went. So a change of workflow code has to be looked at once more: the
fingerprints beside the histories no longer match, a test says what changed, and `record_histories` takes the new ones
after the old histories replayed. Comments, docstrings and layout do not count, nor what is new: it can only matter
through a caller, and that has changed then. In `policies.py` numbers are free: no replay compares a timeout.
"""

import ast
import hashlib
import inspect
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from temporal_app import payloads, policies
from temporal_app.registry import REGISTRY
from temporal_app.replay import CHECKOUT, STORED
from temporal_app.workflows import proof, saga, steps, waits

FILE = STORED / "fingerprints.json"
NUMBERS_ARE_FREE = {"temporal_app/policies.py"}
Fingerprints = dict[str, dict[str, str]]


def modules() -> list[Path]:
    """The modules of all workflows, and what of ours decides with them inside the sandbox."""
    files = {inspect.getfile(workflow) for contents in REGISTRY.values() for workflow in contents.workflows}
    beside = (saga, proof, steps, waits, policies, payloads)
    return sorted(Path(file) for file in {*files, *map(inspect.getfile, beside)})


def now() -> Fingerprints:
    return {name: of_source(path.read_text(), numbers=name not in NUMBERS_ARE_FREE) for name, path in named()}


def named() -> Iterable[tuple[str, Path]]:
    return [(str(path.relative_to(CHECKOUT)), path) for path in modules()]


def of_source(source: str, *, numbers: bool = True) -> dict[str, str]:
    """Fingerprint of each function and class body by its dotted name; "" is the rest of the module."""
    found: dict[str, str] = {}

    def visit(name: str, body: Iterable[ast.stmt], head: Iterable[ast.expr] = ()) -> None:
        rest = [repr(_plain(part, numbers)) for part in head]
        for node in body:
            if isinstance(node, ast.ClassDef):
                visit(f"{name}{node.name}.", node.body, head=[*node.decorator_list, *node.bases])
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{name}{node.name}"] = _digest(_plain(node, numbers))
            elif not _is_text(node) and not isinstance(node, ast.Import | ast.ImportFrom):
                rest.append(repr(_plain(node, numbers)))
        found[name.rstrip(".")] = _digest("\n".join(rest))

    visit("", ast.parse(source).body)
    return found


def differences(confirmed: Mapping[str, Mapping[str, str]], current: Mapping[str, Mapping[str, str]]) -> list[str]:
    """One line for each function that was confirmed and is gone or changed."""
    return [
        f"{'changed' if name in current.get(module, {}) else 'gone'}: {module} {name or '(module level)'}"
        for module, functions in sorted(confirmed.items())
        for name, digest in sorted(functions.items())
        if current.get(module, {}).get(name) != digest
    ]


def confirmed() -> Fingerprints:
    found: Fingerprints = json.loads(FILE.read_text())
    return found


def confirm() -> list[str]:
    """Store the present fingerprints; answers what they change. Call it after every stored history replayed."""
    before = confirmed() if FILE.exists() else {}
    FILE.write_text(json.dumps(now(), indent=1, sort_keys=True) + "\n")
    return differences(before, now())


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _plain(value: object, numbers: bool) -> object:
    """The tree without positions and texts, written the same by every Python version."""
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float) and not numbers:
        return "number"
    if isinstance(value, ast.AST):
        parts = [(name, _plain(part, numbers)) for name, part in ast.iter_fields(value) if name != "kind"]
        return (type(value).__name__, *((name, part) for name, part in parts if part not in (None, [])))
    if isinstance(value, list):
        return [_plain(part, numbers) for part in value if not (isinstance(part, ast.AST) and _is_text(part))]
    return value


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]
