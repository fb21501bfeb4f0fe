"""The bare `./dev` script: what it takes out of the lock, and what it says when it cannot go on."""

import ast
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from backoffice.devstack.paths import ROOT

pytestmark = pytest.mark.devstack

DEV = ROOT / "dev"


@pytest.fixture(scope="module")
def dev() -> dict[str, Any]:
    return runpy.run_path(str(DEV), run_name="dev")


def test_the_section_of_one_package_has_its_pin_and_all_its_hashes(dev: dict[str, Any]) -> None:
    text = "uritemplate==4.2.0 \\\n    --hash=sha256:aa\nuv==0.13.9 \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    text += "    # via backoffice\nuvicorn==0.54.0 \\\n    --hash=sha256:dd\n"
    section = dev["lock_section"](text, "uv")
    assert section.splitlines()[0] == "uv==0.13.9 \\"
    assert "sha256:bb" in section
    assert "sha256:cc" in section
    assert "uvicorn" not in section
    assert "sha256:dd" not in section


def test_the_real_lock_pins_uv_with_hashes(dev: dict[str, Any]) -> None:
    section = dev["lock_section"]((ROOT / "requirements.lock").read_text(), "uv")
    assert section.startswith("uv==")
    assert section.count("--hash=sha256:") > 5


def test_a_package_that_is_not_there_gives_nothing(dev: dict[str, Any]) -> None:
    assert dev["lock_section"]("a==1 \\\n    --hash=sha256:aa\n", "uv") == ""


def test_an_old_python_can_read_the_script_and_is_told(tmp_path: Path) -> None:
    ast.parse(DEV.read_text(), feature_version=(3, 6))
    pretend = tmp_path / "pretend.py"
    pretend.write_text(
        f"import runpy, sys\nsys.version_info = (3, 9, 2)\nrunpy.run_path({str(DEV)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, pretend], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dev: Python 3.11 or newer is needed, this is 3.9\n"


def test_without_ensurepip_it_names_the_package_to_install(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(DEV, checkout / "dev")
    (checkout / "requirements.lock").write_text("")
    pretend = tmp_path / "pretend.py"
    pretend.write_text(
        "import runpy, sys\nsys.modules['ensurepip'] = None\n"
        f"runpy.run_path({str(checkout / 'dev')!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, pretend], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "dev: python3 cannot make virtual environments here; run: apt-get install python3-venv\n"


def test_it_runs_the_checkout_it_lies_in_from_any_directory(tmp_path: Path) -> None:
    shadow = tmp_path / "backoffice"
    shadow.mkdir()
    (shadow / "__init__.py").write_text("raise RuntimeError('another checkout')")
    environment = {**os.environ, "BACKOFFICE_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-P", "-m", "backoffice.devstack", "status", "--json"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**environment, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert '"ready": false' in done.stdout


def test_what_python_compiled_is_kept_also_where_it_may_not_lie_in_the_tree(
    dev: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, str] = {}
    monkeypatch.setitem(dev["main"].__globals__, "prepare", lambda: None)
    monkeypatch.setattr(os, "execve", lambda program, arguments, environment: given.update(environment))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    dev["main"]()
    assert "PYTHONDONTWRITEBYTECODE" not in given
    assert given["PYTHONPYCACHEPREFIX"] == str(ROOT / ".venv" / "bytecode")
