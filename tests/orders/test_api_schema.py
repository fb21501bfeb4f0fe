"""The API against its own OpenAPI document: schemathesis plays a client that takes the document at its word."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
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
from tests.orders.api_calls import make_token, make_user, token_client

pytestmark = pytest.mark.django_db

OPERATIONS = (
    ("/api/", "GET"),
    ("/api/orders/", "GET"),
    ("/api/orders/", "POST"),
    ("/api/orders/{number}/", "GET"),
    ("/api/orders/{number}/start/", "POST"),
    ("/api/orders/{number}/history/", "GET"),
    ("/api/customers/{reference}/erase/", "POST"),
    ("/api/imports/", "POST"),
    ("/api/imports/{id}/", "GET"),
    ("/api/imports/{id}/rejected/", "GET"),
    ("/api/approvals/", "GET"),
    ("/api/approvals/{id}/approve/", "POST"),
    ("/api/approvals/{id}/decline/", "POST"),
    ("/api/tokens/", "GET"),
    ("/api/tokens/", "POST"),
    ("/api/tokens/{token_id}/revoke/", "POST"),
)
NOTHING_TO_GET_WRONG = {("/api/", "GET"), ("/api/tokens/", "GET"), ("/api/approvals/", "GET")}
EVERYTHING = (
    *("place_order", "start_order", "view_order", "import_feed", "add_product", "issue_token", "revoke_token"),
    *("erase_customer", "view_approval", "decide_approval"),
)
# What the document allows and the catalogue does not (an unknown SKU, a cursor of somebody else) is rightly refused.
NOT_ASKED = [positive_data_acceptance]
# A feed is any text, so there is no body that breaks its type; the import itself judges what is in it.
NOT_ASKED_OF_FEEDS = [*NOT_ASKED, negative_data_rejection]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return SchemaGenerator().get_schema(public=True)  # type: ignore[no-untyped-call, no-any-return]


@pytest.fixture(autouse=True)
def one_connection() -> Iterator[None]:
    """Requests share the test's transaction; between requests Django would close its connection."""
    signals = (request_started, request_finished)
    for signal in signals:
        signal.disconnect(close_old_connections)
    yield
    for signal in signals:
        signal.connect(close_old_connections)


@pytest.fixture
def headers() -> dict[str, str]:
    return {"Authorization": f"Token {make_token(make_user(*EVERYTHING), 'full')}"}


def test_every_operation_is_played(document: dict[str, Any]) -> None:
    known = {(path, method.upper()) for path, methods in document["paths"].items() for method in methods}
    assert known == set(OPERATIONS)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize(("path", "method"), OPERATIONS, ids=lambda value: value)
def test_the_answers_are_as_the_document_says(
    document: dict[str, Any], headers: dict[str, str], path: str, method: str, mode: GenerationMode
) -> None:
    if (path, method) in NOTHING_TO_GET_WRONG and mode is GenerationMode.NEGATIVE:
        pytest.skip("It takes nothing that could be wrong.")
    excluded = NOT_ASKED_OF_FEEDS if (path, method) == ("/api/imports/", "POST") else NOT_ASKED
    schema = schemathesis.openapi.from_dict(document)
    schema.app = get_wsgi_application()
    sku = make_product().sku
    reference = customers.known("C-gone", Personal(name="Ada Buyer")).reference
    numbers = [make_order().number, make_order(started=True).number]

    @settings(max_examples=15, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(
        case=schema[path][method].as_strategy(generation_mode=mode), known=st.booleans(), which=st.sampled_from(numbers)
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
