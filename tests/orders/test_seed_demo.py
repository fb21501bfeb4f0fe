"""What `./dev up` makes of an empty database: roles, a login, and orders of which some are meant to go wrong."""

import json
from datetime import timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import call_command
from django.db import transaction
from django.db.models import Sum
from django.test import RequestFactory
from django.utils import timezone
from pytest_django.fixtures import Settings
from rest_framework.exceptions import AuthenticationFailed

from backoffice import second_factor
from backoffice.database_roles import Role
from backoffice.devstack.environment import environment, wire
from backoffice.devstack.paths import Home
from orders.api.authentication import TokenAuthentication
from orders.models import ApiToken, Order, OrderLine, OutboxMessage, Product, StockItem
from orders.services import demo, invariants, placing
from orders.vocabulary import OrderStatus
from tests import rights
from tests.factories import TEST_ACTOR, make_order

pytestmark = pytest.mark.django_db


def run(command: str, *arguments: str) -> str:
    out = StringIO()
    call_command(command, *arguments, stdout=out)
    return out.getvalue()


# --- seed_demo --------------------------------------------------------------------------------------------------------


def test_empty_database_gets_forty_orders_of_which_the_last_four_wait() -> None:
    demo.ensure_catalogue()
    with rights.of(Role.WEB):  # as `./dev up` runs it, after `bootstrap`
        assert run("seed_demo").startswith("Placed 40 demo orders")

    statuses = list(Order.objects.order_by("reference").values_list("status", flat=True))
    assert statuses == [OrderStatus.QUEUED] * 36 + [OrderStatus.PLACED] * 4
    assert OutboxMessage.objects.count() == 36
    assert [*invariants.stock_is_conserved(), *invariants.history_verifies()] == []


def test_demo_orders_hold_a_decline_a_shortage_and_a_country_that_is_not_served() -> None:
    run("seed_demo")

    started = Order.objects.filter(status=OrderStatus.QUEUED)
    short = started.get(lines__product__sku="DEMO-CLOCK").lines.get()
    assert started.filter(payment_method__contains="chargeDeclined").count() == 2
    assert short.quantity > StockItem.objects.get(product=short.product).available
    assert started.filter(ship_to_country="AQ").count() == 1
    assert started.filter(customer=None).exists()


def test_demo_catalogue_can_fulfil_every_other_order() -> None:
    run("seed_demo")

    lines = OrderLine.objects.exclude(product__sku="DEMO-CLOCK")
    wanted = dict(lines.order_by().values_list("product").annotate(Sum("quantity")))
    available = {item.product_id: item.available for item in StockItem.objects.all()}
    assert {product for product, pieces in wanted.items() if pieces > available[product]} == set()


def test_database_with_orders_is_left_alone() -> None:
    make_order()

    assert "nothing was made" in run("seed_demo")
    assert Order.objects.count() == 1
    assert not Product.objects.filter(sku__startswith="DEMO").exists()


def test_same_seed_makes_the_same_orders_and_another_seed_others() -> None:
    def drawn(seed: int) -> list[tuple[object, ...]]:
        """The lines of eight orders, which are then taken back."""
        with transaction.atomic():
            orders = demo.place_orders(count=8, seed=seed, actor=TEST_ACTOR)
            lines = [tuple(order.lines.values_list("product__sku", "quantity")) for order in orders]
            transaction.set_rollback(True)
        return lines

    demo.ensure_catalogue()
    assert drawn(1) == drawn(1) != drawn(2)


def test_sample_order_of_the_guide_can_be_placed_as_it_is() -> None:
    demo.ensure_catalogue()
    body = demo.sample_order()

    order = placing.place(
        placing.NewOrder(
            **body
            | {
                "customer": placing.NewCustomer(**body["customer"]),
                "lines": tuple(placing.NewLine(**line) for line in body["lines"]),
            }
        ),
        actor=TEST_ACTOR,
    )

    assert order.total_minor == 2 * 725 + 1440


def test_catalogue_is_made_once_and_its_stock_is_not_topped_up() -> None:
    demo.ensure_catalogue()
    StockItem.objects.filter(product__sku="DEMO-MUG").update(received=7, on_hand=7)

    demo.ensure_catalogue()

    assert Product.objects.count() == len(demo.CATALOGUE)
    assert StockItem.objects.get(product__sku="DEMO-MUG").on_hand == 7


# --- bootstrap --------------------------------------------------------------------------------------------------------

PASSWORD, TOKEN = "a-password-of-./dev-12345", "0123456789abcdef" * 4


@pytest.fixture
def dev(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> pytest.MonkeyPatch:
    settings.ENVIRONMENT = "dev"
    # The real one is slow on purpose.
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    monkeypatch.setenv("BACKOFFICE_ADMIN_PASSWORD", PASSWORD)
    monkeypatch.setenv("BACKOFFICE_API_TOKEN", TOKEN)
    return monkeypatch


def user_of(token: str) -> str:
    user, _ = TokenAuthentication().authenticate_credentials(token.encode())
    return user.get_username()


def test_developer_gets_a_login_a_token_and_a_catalogue_told_as_json(dev: pytest.MonkeyPatch) -> None:
    told = json.loads(run("bootstrap", "--json"))

    names = {"username": "admin", "second_username": "lead"}
    assert told["login"] == names, "the output is a log, and holds no secret"
    assert told["sample_order"] == demo.sample_order()
    for name in names.values():
        assert authenticate(RequestFactory().post("/"), username=name, password=PASSWORD) is not None
    assert user_of(TOKEN) == "admin"
    assert Product.objects.filter(sku="DEMO-MUG").exists()


def test_a_program_that_plays_two_people_gets_a_token_of_the_second(dev: pytest.MonkeyPatch) -> None:
    second = "s" * 48
    dev.setenv("BACKOFFICE_SECOND_API_TOKEN", second)
    run("bootstrap")
    run("bootstrap")
    assert user_of(second) == "lead"


def test_each_login_of_the_developer_signs_in_without_a_second_factor(
    dev: pytest.MonkeyPatch, settings: Settings, tmp_path: Path
) -> None:
    home = Home(path=tmp_path)
    settings.SECOND_FACTOR_ROLES = ["lead", "superuser"]
    settings.SECOND_FACTOR_EXEMPT = environment(home, wire(home, {}), {})["SECOND_FACTOR_EXEMPT"].split(",")
    run("bootstrap")

    needing = [user.get_username() for user in get_user_model().objects.all() if second_factor.is_required(user)]
    assert needing == [], "who follows the README as them would need an authenticator app"


def test_bootstrap_runs_at_every_start_and_changes_nothing_more(dev: pytest.MonkeyPatch) -> None:
    run("bootstrap")
    before = get_user_model().objects.get(username="admin").password
    run("bootstrap")

    assert get_user_model().objects.get(username="admin").password == before
    assert ApiToken.objects.count() == 1


def test_the_token_of_the_developer_ends_and_lives_on_with_the_next_start(dev: pytest.MonkeyPatch) -> None:
    run("bootstrap")
    token = ApiToken.objects.get()
    assert timedelta(days=89) < token.expiry - timezone.now() <= timedelta(days=90)
    ApiToken.objects.update(expiry=timezone.now() - timedelta(days=1))
    with pytest.raises(AuthenticationFailed):
        user_of(TOKEN)

    run("bootstrap")

    assert user_of(TOKEN) == "admin"


def test_new_password_and_token_replace_the_old_ones(dev: pytest.MonkeyPatch) -> None:
    run("bootstrap")
    dev.setenv("BACKOFFICE_ADMIN_PASSWORD", "another-password")
    dev.setenv("BACKOFFICE_API_TOKEN", "f" * 64)

    run("bootstrap")

    assert get_user_model().objects.get(username="admin").check_password("another-password")
    assert user_of("f" * 64) == "admin"
    with pytest.raises(AuthenticationFailed):
        user_of(TOKEN)


def test_token_is_stored_by_its_digest_only(dev: pytest.MonkeyPatch) -> None:
    run("bootstrap")

    assert TOKEN not in str(ApiToken.objects.values())


@pytest.mark.parametrize("environment", ["production", "test"])
def test_elsewhere_than_in_development_no_login_is_made(
    dev: pytest.MonkeyPatch, settings: Settings, environment: str
) -> None:
    settings.ENVIRONMENT = environment

    assert json.loads(run("bootstrap", "--json")) == {"roles": True, "differences": []}

    assert not get_user_model().objects.exists()
    assert not Product.objects.exists()
