"""HTTP manners: limits, broken bodies, unknown paths, callers that hang up, speed."""

import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.simulator.process import ROOT, SimulatorProcess
from tests.simulator.talk import Http


def test_health(http: Http) -> None:
    assert http.request("GET", "/health") == (200, {"ok": True})


def test_unknown_path_and_wrong_method_are_told_apart(simulator: SimulatorProcess, http: Http) -> None:
    assert http.request("GET", "/nothing")[0] == 404
    assert http.request("GET", "/v1/nothing")[1]["error"]["type"] == "invalid_request_error"
    wrong = requests.delete(f"{simulator.url}/rates", timeout=5)
    assert (wrong.status_code, wrong.headers["Allow"]) == (405, "GET")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "not JSON"),
        (b"[]", "JSON object"),
        (b'{"order": NaN}', "NaN"),
        (b'{"order": "\\ud800"}', "UTF-8"),
        (b'{"order": "\xff"}', "UTF-8"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "nested"),
        (b'{"a":' * 100_000, "nested"),
        (b'{"amount_minor": ' + b"9" * 5000 + b"}", "not JSON"),
    ],
)
def test_bad_json_is_refused_with_the_reason(http: Http, body: bytes, reason: str) -> None:
    for method, path in (("POST", "/fraud/scores"), ("PUT", "/carrier/shipments/bad")):
        status, refused = http.request(method, path, data=body)
        assert (status, refused["error"]["code"]) == (400, "bad_json")
        assert reason in refused["error"]["message"]


@pytest.mark.parametrize("body", [b"amount=1&amount=2", b"amount=%ff", b"\xff"])
def test_bad_form_is_refused(http: Http, body: bytes) -> None:
    assert http.request("POST", "/v1/payment_intents", data=body)[0] == 400
    assert http.request("POST", "/v1/payment_intents", data=body, headers={"Idempotency-Key": "bad"})[0] == 400


def test_body_over_one_megabyte_is_refused(http: Http) -> None:
    for path in ("/fraud/scores", "/v1/payment_intents"):
        status, refused = http.request("POST", path, data=b"x" * 1_000_001)
        assert (status, refused["error"]["code"]) == (413, "body_too_large")
    assert http.request("GET", "/health")[0] == 200


def test_broken_requests_get_json_and_hurt_nobody(simulator: SimulatorProcess, http: Http) -> None:
    for raw, status in (
        (b"nonsense\r\n\r\n", b" 400 "),
        (b"BREW /health HTTP/1.1\r\n\r\n", b" 501 "),
        (b"POST /rates HTTP/1.1\r\nContent-Length: x\r\n\r\n", b" 400 "),
        (b"POST /rates HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b" 411 "),
        (b"GET /health?x=%ff HTTP/1.1\r\nConnection: close\r\n\r\n", b" 400 "),
    ):
        with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
            connection.sendall(raw)
            answer = b"".join(iter(lambda c=connection: c.recv(65536), b""))
        assert status in answer.splitlines()[0], answer
        assert b'"error"' in answer
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=5) as connection:
        connection.sendall(b"POST /fraud/scores HTTP/1.1\r\nContent-Length: 100\r\n\r\nhalf")
    assert http.request("GET", "/health")[0] == 200
    assert "Traceback" not in simulator.log_path.read_text()


def test_kept_connection_answers_without_delayed_acknowledgements(http: Http) -> None:
    def once() -> float:
        started = time.perf_counter()
        http.request("POST", "/fraud/scores", {"order": "o", "amount_minor": 1, "currency": "GBP"})
        return time.perf_counter() - started

    assert statistics.median(once() for _ in range(30)) < 0.03


def test_address_in_use_and_bad_store_stop_the_start_with_a_sentence(
    simulator: SimulatorProcess, tmp_path: Path
) -> None:
    for arguments, words in (
        (["--port", str(simulator.port), "--store", str(tmp_path / "s")], "cannot listen"),
        (["--port", "0", "--store", str(tmp_path / "missing" / "s")], "cannot open the store"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "simulator", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=20
        )
        assert done.returncode == 1
        assert words in done.stderr
        assert "Traceback" not in done.stderr
