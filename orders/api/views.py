"""What all views of the API share, and the addresses that are not about a thing: the root, the docs, the unknown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView
from rest_framework.exceptions import NotFound, UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse
from rest_framework.views import APIView
from rest_framework.viewsets import GenericViewSet

from orders.actor import Actor, person
from orders.api.filters import refuse_unknown
from orders.api.outgoing import RootOutput
from orders.api.permissions import Anyone, SignedIn
from orders.api.problems import LENGTH_REQUIRED, Refused
from orders.api.schema import answers
from orders.vocabulary import Channel


class StrictRequests:
    """Refuses what DRF would ignore: unknown parameters, a body of a strange format, a body of unknown length."""

    http_method_names: Sequence[str] = ["get", "post", "head"]
    #: action (or "" where a view has none) -> the query parameters it takes
    query_parameters: Mapping[str, frozenset[str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)  # type: ignore[misc]
        if request.method not in self.allowed_methods:  # type: ignore[attr-defined]
            return
        refuse_unknown(request.query_params, self.query_parameters.get(getattr(self, "action", None) or "", ()))
        if request.META.get("HTTP_TRANSFER_ENCODING") and not request.META.get("CONTENT_LENGTH"):
            # DRF takes a body of unknown length for an empty one.
            raise Refused(LENGTH_REQUIRED, "Send the body with a Content-Length header.")
        has_body = str(request.META.get("CONTENT_LENGTH") or "0") not in {"", "0"}
        if has_body and request.method == "POST":
            parser = self.get_content_negotiator().select_parser(request, request.parsers)  # type: ignore[attr-defined]
            if parser is None:
                raise UnsupportedMediaType(request.content_type)


class StrictViewSet(StrictRequests, GenericViewSet):
    """The base of everything that is about a thing; a subclass says who may do which action."""

    #: action -> permissions of which one is needed
    action_permissions: Mapping[str, tuple[str, ...]] = {}
    #: actions that answer 404 to whoever lacks the permission
    hidden_actions: frozenset[str] = frozenset()
    not_found_text = "There is nothing here, or you may not see it."

    def actor(self) -> Actor:
        return person(self.request.user, Channel.API)


class Root(StrictRequests, APIView):
    permission_classes = [SignedIn]

    @extend_schema(
        summary="Where everything is", description="", responses=answers({200: RootOutput}), operation_id="root"
    )
    def get(self, request: Request) -> Response:
        names = (
            "orders",
            "batches",
            "imports",
            "partners",
            "process-runs",
            "reviews",
            "schedules",
            "tasks",
            "tokens",
            "schema",
            "docs",
            "exports",
            "playbooks",
        )
        return Response({name: reverse(f"api:{name}", request=request) for name in names})


class Schema(StrictRequests, SpectacularJSONAPIView):
    permission_classes = [SignedIn]
    query_parameters = {"": frozenset({"lang", "version"})}

    @extend_schema(exclude=True)
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return super().get(request, *args, **kwargs)  # type: ignore[no-untyped-call]


class Docs(SpectacularSwaggerSplitView):
    """Swagger UI from our own static files, its script in a request of its own."""

    permission_classes = [SignedIn]
    url_name = "api:schema"
    #: a page for people: the framework would draw its answer to OPTIONS in the template of the page, and fail
    http_method_names = ["get", "head"]
    template_name = "orders/api_docs.html"


class NotHere(APIView):
    """The last address below /api/: an unknown one gets a problem document, not Django's page."""

    permission_classes = [Anyone]
    authentication_classes = []
    schema = None

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        self.http_method_names = [str(request.method).lower()]
        setattr(self, str(request.method).lower(), self.refuse)
        return super().dispatch(request, *args, **kwargs)

    def refuse(self, request: Request, *args: Any, **kwargs: Any) -> NoReturn:
        missing_slash = "" if request.path.endswith("/") else " Addresses end with a slash."
        raise NotFound(f"There is nothing at this address.{missing_slash}")
