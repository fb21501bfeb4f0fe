"""The API against its own OpenAPI document: schemathesis plays a client that takes the document at its word."""

import functools
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from orders.models.customer import Personal
from orders.services import customers
from tests.factories import make_order, make_product
from tests.orders.api_calls import make_token, token_client
from tests.orders.driving import make_order_in_review

pytestmark = pytest.mark.django_db

DOCUMENT: dict[str, Any] = SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call]
#: every one that the document names, so that a new call is played without anybody thinking of it
OPERATIONS = [(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods]
# What the document allows and the catalogue does not (an unknown SKU, a cursor of somebody else) is rightly refused.
NOT_ASKED = [positive_data_acceptance]
# A feed is any text, so there is no body that breaks its type; the import itself judges what is in it.
NOT_ASKED_OF_FEEDS = [*NOT_ASKED, negative_data_rejection]


@functools.cache
def schema() -> Any:
    """Made once: schemathesis reads our whole code for words to try, which took half the time of this file."""
    made = schemathesis.openapi.from_dict(DOCUMENT)
    made.app = get_wsgi_application()
    return made


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Requests share the test's transaction; between requests Django would close its connection."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture(autouse=True)
def gateway_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the gateway's door is closed, and says so with a 503."""
    monkeypatch.setattr(django_settings, "STRIPE_WEBHOOK_SECRETS", ["whsec_test"])


@pytest.fixture
def headers() -> dict[str, str]:
    chief = get_user_model().objects.create_superuser("chief")
    return {"Authorization": f"Token {make_token(chief, 'full')}"}


def takes_nothing(path: str, method: str) -> bool:
    operation = DOCUMENT["paths"][path][method.lower()]
    return not operation.get("parameters") and "requestBody" not in operation


def test_the_calls_that_change_something_are_among_what_is_played() -> None:
    assert {("/api/orders/", "POST"), ("/api/orders/{number}/start/", "POST")} <= set(OPERATIONS)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value)
def test_the_answers_are_as_the_document_says(
    headers: dict[str, str], path: str, method: str, mode: GenerationMode
) -> None:
    if takes_nothing(path, method) and mode is GenerationMode.NEGATIVE:
        pytest.skip("It takes nothing that could be wrong.")
    excluded = NOT_ASKED_OF_FEEDS if (path, method) == ("/api/imports/", "POST") else NOT_ASKED
    sku = make_product().sku
    reference = customers.known("C-gone", Personal(name="Ada Buyer")).reference
    numbers = [make_order().number, make_order(started=True).number, make_order_in_review().number]

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        case=schema()[path][method].as_strategy(generation_mode=mode),
        known=st.booleans(),
        which=st.sampled_from(numbers),
    )
    def play(case: Any, known: bool, which: str) -> None:
        if known and mode is GenerationMode.POSITIVE:
            # Random words never meet an order or a product; half of the good cases should.
            if "number" in case.path_parameters:
                case.path_parameters["number"] = which
            if "reference" in case.path_parameters:
                case.path_parameters["reference"] = reference
            if isinstance(case.body, dict):
                for line in case.body.get("lines", ()):
                    line["sku"] = sku
        case.call_and_validate(headers=headers, excluded_checks=excluded)

    play()


def test_the_document_is_valid_and_free_of_warnings(tmp_path: Any) -> None:
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))


def test_the_page_of_the_document_needs_nothing_from_elsewhere() -> None:
    client = token_client()
    page = client.get("/api/docs/").content.decode()
    assert "drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page
    assert "http://" not in page
    assert "https://" not in page
    # Every script comes from a file; none is written into the page.
    assert page.count("<script") == page.count("<script src=") == 3
    script = client.get("/api/docs/?script=")
    assert script["Content-Type"] == "application/javascript"
    assert "/api/schema/" in script.content.decode()
