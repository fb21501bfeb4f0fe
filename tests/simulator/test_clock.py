"""The clock of the books and the switches: days pass in a moment, a search lags, a key ends."""

from typing import Any

import pytest

from tests.simulator.double import START, Double


def found(double: Double, order: str = "o-1") -> list[Any]:
    query = {"query": f"metadata['order']:'{order}'"}
    return list(double.ok("GET", "/v1/payment_intents/search", query)["data"])


def test_a_search_is_behind_the_writes_and_a_list_is_not(double: Double) -> None:
    intent = double.intent()
    assert [one["id"] for one in double.ok("GET", "/v1/payment_intents")["data"]] == [intent["id"]]
    assert found(double) == []
    double.advance(1.9)
    assert found(double) == []
    double.advance(0.1)
    assert [one["id"] for one in found(double)] == [intent["id"]]


def test_a_search_shows_the_past_of_a_payment_that_changed(double: Double) -> None:
    double.behave(search_lag_seconds=3600)
    intent = double.intent()
    double.advance(3600)
    double.ok("POST", f"/v1/payment_intents/{intent['id']}/confirm")
    assert double.get(intent["id"])["status"] == "succeeded"
    assert [one["status"] for one in found(double)] == ["requires_confirmation"]
    double.ok("POST", f"/v1/payment_intents/{intent['id']}", {"metadata": {"order": "o-2"}})
    assert (len(found(double)), found(double, "o-2")) == (1, [])
    double.advance(3600)
    assert (found(double), len(found(double, "o-2"))) == ([], 1)
    assert found(double, "o-2")[0]["status"] == "succeeded"


def test_a_key_ends_after_a_day_and_the_same_request_is_carried_out_again(double: Double) -> None:
    form = {"amount": 2500, "currency": "gbp", "metadata": {"order": "o-1"}}
    first = double.send("POST", "/v1/payment_intents", form, key="k")
    double.advance(86_399)
    again = double.send("POST", "/v1/payment_intents", form, key="k")
    assert (again.text, again.headers["Idempotent-Replayed"]) == (first.text, "true")
    double.advance(1)
    later = double.send("POST", "/v1/payment_intents", form, key="k")
    assert "Idempotent-Replayed" not in later.headers
    assert double.books()["intents"] == 2
    assert double.send("POST", "/v1/payment_intents", form, key="k").text == later.text


def test_changes_happen_at_the_moment_they_were_due_and_one_leads_to_the_next(double: Double) -> None:
    intent = double.paid("pm_bacsDebit_dispute")
    double.advance(30 * 86_400)
    (dispute,) = double.ok("GET", "/v1/disputes")["data"]
    assert dispute["status"] == "lost", "debit after 180 s, dispute 2 s later, its deadline a week later"
    with double.sim.store.read() as snapshot:
        rows = snapshot.execute("SELECT after, at FROM transitions WHERE machine <> 'charge' ORDER BY seq").fetchall()
    assert [(row["after"], row["at"] - START) for row in rows] == [
        ("requires_confirmation", 0),
        ("processing", 0),
        ("succeeded", 180),
        ("needs_response", 182),
        ("lost", 182 + 7 * 86_400),
    ]
    assert double.get(intent["id"])["created"] == int(START), "objects carry the computer's time"


def test_the_switches_are_shown_replaced_and_set_back(double: Double) -> None:
    before = double.ok("GET", "/behaviour")
    assert (before["search_lag_seconds"], before["customer"]["confirms_after_seconds"]) == (2.0, None)
    changed = double.ok("PUT", "/behaviour", body={"debit_seconds": 9, "customer": {"share_never": 0.5}})
    assert (changed["debit_seconds"], changed["customer"]["share_never"]) == (9, 0.5)
    assert double.ok("PUT", "/behaviour", body={}) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"surprise": 1}, "surprise"),
        ({"debit_seconds": -1}, "debit_seconds"),
        ({"debit_seconds": "3"}, "debit_seconds"),
        ({"debit_seconds": True}, "debit_seconds"),
        ({"redirect_methods": 1}, "redirect_methods"),
        ({"customer": 5}, "customer"),
        ({"customer": {"mood": 1}}, "customer"),
        ({"customer": {"share_never": 2}}, "share_never"),
        ({"customer": {"share_never": 0.6, "share_fails": 0.6}}, "share_fails"),
        ({"customer": {"confirms_after_seconds": "soon"}}, "confirms_after_seconds"),
    ],
)
def test_a_bad_switch_is_refused_by_name_and_changes_nothing(double: Double, body: Any, field: str) -> None:
    before = double.ok("GET", "/behaviour")
    status, refused = double.call("PUT", "/behaviour", body=body)
    assert (status, refused["error"]["field"]) == (400, field)
    assert double.ok("GET", "/behaviour") == before


@pytest.mark.parametrize("seconds", [-1, "1", None, True, 1e12])
def test_a_clock_is_only_turned_forward(double: Double, seconds: Any) -> None:
    status, refused = double.call("POST", "/clock", body={"advance_seconds": seconds})
    assert (status, refused["error"]["field"]) == (400, "advance_seconds")
    assert double.ok("GET", "/clock") == {"now": START, "advanced_seconds": 0}


def test_clearing_the_store_sets_clock_and_switches_back(double: Double) -> None:
    double.behave(debit_seconds=100)
    double.advance(100)
    double.paid("pm_bacsDebit_success")
    double.ok("DELETE", "/store")
    assert double.ok("GET", "/clock")["advanced_seconds"] == 0
    assert double.ok("GET", "/behaviour")["debit_seconds"] == 3
    assert double.events() == []
