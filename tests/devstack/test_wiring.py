"""Ports are kept, what the caller brings along is used, and secrets stay the same."""

import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from backoffice.devstack import ports
from backoffice.devstack.environment import as_role, environment, remembered_secrets, wire
from backoffice.devstack.paths import Home
from backoffice.devstack.services import Service, Step, build

pytestmark = pytest.mark.devstack


def test_a_port_is_remembered(home: Home) -> None:
    assert ports.choose(home, "web") == ports.choose(home, "web") == ports.remembered(home, "web")


def test_two_services_never_get_the_same_port(home: Home) -> None:
    chosen = [ports.choose(home, f"service-{number}") for number in range(20)]
    assert len(set(chosen)) == 20


def test_a_port_taken_by_another_program_is_replaced_by_the_one_that_starts(home: Home) -> None:
    port = ports.choose(home, "web")
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()

        assert wire(home, {}).web_url.endswith(f":{port}"), "a command that only looks keeps the address"
        assert not wire(home, {}, starting=True).web_url.endswith(f":{port}")


def test_ports_stay_out_of_the_range_for_outgoing_connections() -> None:
    limits = Path("/proc/sys/net/ipv4/ip_local_port_range")
    if not limits.exists():
        pytest.skip("Linux only")
    assert ports.CHOICE.stop <= int(limits.read_text().split()[0])


def test_everything_is_ours_when_nothing_is_given(home: Home) -> None:
    assert names(home, {}) == ["postgres", "temporal", "simulator", *REST]


REST = ["migrate", "bootstrap", "worker", "web", "seed_demo"]


@pytest.mark.parametrize(
    ("given", "left_out"),
    [
        ({"DATABASE_URL": "postgres://them@db.example/orders"}, "postgres"),
        ({"TEMPORAL_ADDRESS": "temporal.example:7233"}, "temporal"),
        ({"TEMPORAL_PROFILE": "cloud"}, "temporal"),
        ({"SIMULATOR_URL": "http://partners.example"}, "simulator"),
    ],
)
def test_a_service_that_is_given_is_not_started(home: Home, given: dict[str, str], left_out: str) -> None:
    expected = [name for name in ("postgres", "temporal", "simulator", *REST) if name != left_out]
    assert names(home, given) == expected
    wiring = wire(home, given)
    assert wiring.external == {left_out}
    assert given.items() <= environment(home, wiring, given).items()


def test_a_profile_for_temporal_gets_no_address_beside_it(home: Home) -> None:
    given = {"TEMPORAL_PROFILE": "cloud"}
    assert "TEMPORAL_ADDRESS" not in environment(home, wire(home, given), given)


def test_every_child_gets_the_whole_environment(home: Home) -> None:
    known = environment(home, wire(home, {}), {})
    assert known["BACKOFFICE_ENV"] == "dev"
    assert known["DJANGO_DEBUG"] == "0"
    assert known["TEMPORAL_NAMESPACE"] == "backoffice"
    assert known["BACKOFFICE_STATE_DIR"] == str(home.path)
    for name in ("DATABASE_URL", "TEMPORAL_ADDRESS", "SIMULATOR_URL", "BACKOFFICE_BASE_URL", "TEMPORAL_UI_URL"):
        assert "127.0.0.1" in known[name]
    for name in ("DJANGO_SECRET_KEY", "BACKOFFICE_ADMIN_PASSWORD", "BACKOFFICE_API_TOKEN"):
        assert len(known[name]) >= 16


def test_secrets_are_made_once(home: Home) -> None:
    first = remembered_secrets(home)
    assert remembered_secrets(home) == first
    assert len(set(first.values())) == len(first)


def test_web_and_worker_have_accounts_of_their_own_and_do_not_know_the_owners(home: Home) -> None:
    known = environment(home, wire(home, {}), {})
    owner = urlsplit(known["DATABASE_OWNER_URL"])
    for item in build(home, wire(home, {}), known).items:
        if item.name in ("web", "worker") and isinstance(item, Service) and item.environment is not None:
            account = urlsplit(item.environment["DATABASE_URL"])
            assert (account.username, account.port, account.path) == (f"backoffice_{item.name}", owner.port, owner.path)
            assert not [name for name, value in item.environment.items() if str(owner.password) in value]
            others = {value for name, value in known.items() if name.startswith("DATABASE_") and "PASSWORD" in name}
            others.discard(str(account.password))
            assert len(others) == 2
            assert not [name for name, value in item.environment.items() if value in others]


def test_the_gateway_sends_its_events_to_the_web_server_and_both_know_the_secret(home: Home) -> None:
    wiring = wire(home, {})
    known = environment(home, wiring, {})
    items = {item.name: item for item in build(home, wiring, known).items if isinstance(item, Service)}
    command = items["simulator"].command()
    assert command[command.index("--events-url") + 1] == f"{wiring.web_url}/api/gateway/events/"
    given = items["simulator"].environment
    assert given is not None
    secret = given["SIMULATOR_EVENTS_SECRET"]
    assert secret.startswith("whsec_")
    assert secret not in command, "everybody on the machine can read a command line"
    web, worker = items["web"].environment, items["worker"].environment
    assert web is not None
    assert worker is not None
    assert web["STRIPE_WEBHOOK_SECRETS"] == secret
    assert "STRIPE_WEBHOOK_SECRETS" not in worker, "it checks no event"
    others = {value for name, value in remembered_secrets(home).items() if name != "gateway_events_secret"}
    assert not [name for name, value in given.items() if any(other in value for other in others)]


def test_no_process_knows_the_developers_login_and_the_worker_cannot_sign_a_session(home: Home) -> None:
    known = environment(home, wire(home, {}), {})
    login = {known["BACKOFFICE_ADMIN_PASSWORD"], known["BACKOFFICE_API_TOKEN"]}
    items = [item for item in build(home, wire(home, {}), known).items if isinstance(item, Service)]
    assert [item.name for item in items if item.environment is None] == []
    for item in items:
        assert not login & set((item.environment or {}).values()), item.name
    demo = next(item for item in build(home, wire(home, {}), known).items if item.name == "seed_demo")
    assert demo.environment is not None
    assert "DATABASE_OWNER_URL" not in demo.environment, "it places orders, as the web does"
    knowing = [item.name for item in items if known["DJANGO_SECRET_KEY"] in (item.environment or {}).values()]
    assert knowing == ["web"]


def test_temporal_takes_no_call_over_http_unless_a_tool_asks_for_it(home: Home) -> None:
    def line(**options: bool) -> list[str]:
        plan = build(home, wire(home, {}), environment(home, wire(home, {}), {}), **options)
        return next(item for item in plan.items if item.name == "temporal").command()

    closed = 'frontend.httpAllowedHosts=["there-is-no-http-here.invalid"]'
    assert closed in line()
    assert "--http-port" not in line()
    assert closed not in line(temporal_http=True)
    assert "--http-port" in line(temporal_http=True)


def test_an_outside_gateway_gets_no_secret_of_ours(home: Home) -> None:
    given = {"SIMULATOR_URL": "http://partners.example"}
    assert "STRIPE_WEBHOOK_SECRETS" not in environment(home, wire(home, given), given)
    given |= {"STRIPE_WEBHOOK_SECRETS": "whsec_theirs"}
    assert environment(home, wire(home, given), given)["STRIPE_WEBHOOK_SECRETS"] == "whsec_theirs"


def test_an_outside_database_is_used_with_the_account_that_was_given(home: Home) -> None:
    given = {"DATABASE_URL": "postgres://them@db.example/orders"}
    assert as_role(environment(home, wire(home, given), given), "web")["DATABASE_URL"] == given["DATABASE_URL"]

    apart = given | {"DATABASE_OWNER_URL": "postgres://owner:x@db.example:1234/orders"}
    kept = as_role(environment(home, wire(home, apart), apart), "web")
    assert (kept["DATABASE_URL"], "DATABASE_OWNER_URL" in kept) == (given["DATABASE_URL"], False)

    named = apart | {"DATABASE_WEB_PASSWORD": "a/b", "DATABASE_ROLE_PREFIX": "shop"}
    kept = as_role(environment(home, wire(home, named), named), "web")
    assert kept["DATABASE_URL"] == "postgres://shop_web:a%2Fb@db.example:1234/orders"
    assert "DATABASE_WEB_PASSWORD" not in kept


def names(home: Home, given: dict[str, str]) -> list[str]:
    wiring = wire(home, given)
    items: list[Service | Step] = build(home, wiring, environment(home, wiring, given)).items
    return [item.name for item in items]
