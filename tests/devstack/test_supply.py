"""The bill of materials names what is locked, and an audit that could not ask says so."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from backoffice.devstack import supply
from backoffice.devstack.errors import DevstackError

OFFLINE = """error: Request failed after 3 retries
  cause: error sending request for url (https://advisories.example/)
  cause: failed to lookup address information
"""


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch) -> dict[str, subprocess.CompletedProcess[str]]:
    """What uv answers to each of its commands; it is not asked, for it asks the network."""
    answers: dict[str, subprocess.CompletedProcess[str]] = {"lock": done(0)}

    def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
        project = tomllib.loads((folder / "pyproject.toml").read_text())
        assert "django==5.2" in "".join(project["project"]["dependencies"])
        return answers[words[0]]

    monkeypatch.setattr(supply, "_uv", asked)
    return answers


def done(code: int, out: str = "", err: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.CompletedProcess(args=[], returncode=code, stdout=out, stderr=err)


def test_every_pin_of_a_lock_is_asked_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supply, "_uv", lambda *_: done(0))
    for lock in (supply.RUN, supply.DEVELOP):
        count = supply._project(tmp_path, lock)
        lines = (supply.ROOT / lock).read_text().splitlines()
        assert count == sum(1 for line in lines if line[:1].isalnum()), lock
        pins = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]["dependencies"]
        assert len(set(pins)) == count
        assert all("==" in pin for pin in pins)


def test_the_bill_of_materials_is_what_uv_wrote_and_nothing_else(
    uv: dict[str, subprocess.CompletedProcess[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    uv["export"] = done(0, '{"bomFormat": "CycloneDX"}\n', "warning: experimental")
    assert supply.sbom([]) == 0
    assert json.loads(capsys.readouterr().out) == {"bomFormat": "CycloneDX"}
    uv["export"] = done(2, "", "error: broken")
    with pytest.raises(DevstackError, match="error: broken"):
        supply.sbom([])


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (done(0, "Found no known vulnerabilities"), 0, "no advisory is known"),
        (done(1, "django 5.2.1 has PYSEC-1"), 1, "django 5.2.1 has PYSEC-1"),
        (done(2, "", OFFLINE), 3, "NOT AUDITED"),
    ],
    ids=["clean", "found", "not asked"],
)
def test_an_audit_tells_clean_found_and_not_asked_apart(
    uv: dict[str, subprocess.CompletedProcess[str]],
    capsys: pytest.CaptureFixture[str],
    answer: subprocess.CompletedProcess[str],
    code: int,
    said: str,
) -> None:
    uv["audit"] = answer
    assert supply.audit([]) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    if code == 3:
        assert "failed to lookup address information" in told.err
        assert "no advisory is known" not in told.out
