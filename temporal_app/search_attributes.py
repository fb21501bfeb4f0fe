"""Typed search attributes; stored in plain text by Temporal, so never a name, address or token.

A workflow that sets an attribute which the namespace does not know fails its task for ever, so a worker makes sure of
them before it polls. An attribute of another type under the same name is as bad and not mended by trying again.
"""

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

ORDER_NUMBER = SearchAttributeKey.for_keyword("OrderNumber")
ORDER_STATUS = SearchAttributeKey.for_keyword("OrderStatus")
CUSTOMER = SearchAttributeKey.for_keyword("Customer")
#: the status that every process begins in
QUEUED = "queued"


def of_order(number: str, customer: str) -> TypedSearchAttributes:
    """What an order's process is found by; `customer` is an id of ours, never a name."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(ORDER_NUMBER, number),
            SearchAttributePair(ORDER_STATUS, QUEUED),
            SearchAttributePair(CUSTOMER, customer),
        ]
    )


REQUIRED = (ORDER_NUMBER, ORDER_STATUS, CUSTOMER)
KEYWORD = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD


async def ensure_registered(client: Client) -> None:
    """Register what is missing. Raises RuntimeError for an attribute of another type, RPCError when refused."""
    operator = client.operator_service
    known = (
        await operator.list_search_attributes(ListSearchAttributesRequest(namespace=client.namespace))
    ).custom_attributes
    for key in REQUIRED:
        if known.get(key.name, KEYWORD) != KEYWORD:
            raise RuntimeError(
                f"Search attribute {key.name} of namespace {client.namespace} is not a Keyword: "
                "remove it with `temporal operator search-attribute remove` and start the worker again."
            )
    await register(client, [key.name for key in REQUIRED if key.name not in known])


async def register(client: Client, names: list[str]) -> None:
    """Add Keyword attributes to the client's namespace."""
    if names:
        request = AddSearchAttributesRequest(
            namespace=client.namespace, search_attributes=dict.fromkeys(names, KEYWORD)
        )
        await client.operator_service.add_search_attributes(request)
