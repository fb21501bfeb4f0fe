"""The codec endpoint for Temporal's Web UI: staff who may, read payloads decrypted; nobody can have any encrypted.

The UI's page posts what it was given to `POST /codec/decode` and shows the answer; keys never leave the server. The
browser sends the staff member's session along, so the answer must be readable by the UI's origin only.

The UI does not say where in which history a payload stands. So what was written for another workflow, or is not
encrypted at all, is shown here although a worker refuses it: this page shows what is stored, not what is believed.

Without a CSRF token, which the UI cannot have: the call changes nothing, its answer is kept from other origins by the
browser, and a request that names another origin is refused. Only JSON is taken, so no form can send it.
"""

import logging
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from orders.actor import person
from orders.errors import NotPermitted
from orders.vocabulary import Channel

logger = logging.getLogger(__name__)
PERMISSION = "orders.decode_payloads"
#: Temporal stores no payload above 2 MiB; base64 adds a third
MAX_BODY_BYTES = 4 * 1024 * 1024


@csrf_exempt
def decode(request: HttpRequest) -> HttpResponse:
    """Temporal's codec protocol: {"payloads": [{"metadata": {..}, "data": base64}]} in and out."""
    origin, allowed = request.headers.get("Origin"), ui_origin()
    if origin is not None and (not allowed or origin != allowed):
        return JsonResponse({"detail": "This origin may not ask."}, status=403)
    answer = HttpResponse(status=204) if request.method == "OPTIONS" else _decoded(request)
    answer["Vary"] = "Origin, Cookie"
    answer["Cache-Control"] = "no-store"
    if origin is not None:
        answer["Access-Control-Allow-Origin"] = origin
        answer["Access-Control-Allow-Credentials"] = "true"
        answer["Access-Control-Allow-Methods"] = "POST"
        answer["Access-Control-Allow-Headers"] = "content-type, x-namespace"
    return answer


def ui_origin() -> str:
    """Scheme, host and port of the Web UI; empty when there is none."""
    parts = urlsplit(settings.TEMPORAL_UI_URL)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""


def _decoded(request: HttpRequest) -> JsonResponse:
    if request.method != "POST":
        return JsonResponse({"detail": "Only POST is answered."}, status=405, headers={"Allow": "POST, OPTIONS"})
    if not request.user.is_authenticated:
        return JsonResponse({"detail": "Sign in to the back office first, in this browser."}, status=401)
    try:
        person(request.user, Channel.ADMIN).require(PERMISSION)
    except NotPermitted as error:
        return JsonResponse({"detail": str(error)}, status=403)
    if request.content_type != "application/json":
        return JsonResponse({"detail": "The body must be application/json."}, status=415)
    if int(request.headers.get("Content-Length") or 0) > MAX_BODY_BYTES:
        return JsonResponse({"detail": f"The body is longer than {MAX_BODY_BYTES} bytes."}, status=413)

    # Only here: the web starts without Temporal's client.
    from google.protobuf.json_format import MessageToDict, Parse, ParseError
    from temporalio.api.common.v1 import Payloads

    from temporal_app.client import codec
    from temporal_app.codec import UnreadablePayload

    try:
        asked = Parse(request.body, Payloads())
    except (ParseError, UnicodeDecodeError):
        return JsonResponse({"detail": 'The body must be {"payloads": [..]} as Temporal writes them.'}, status=400)
    try:
        told = Payloads(payloads=map(codec().displayed, asked.payloads))
    except UnreadablePayload as error:
        return JsonResponse({"detail": str(error)}, status=422)
    logger.info("User %s read %d payloads in the clear", request.user.pk, len(told.payloads))
    return JsonResponse({"payloads": [], **MessageToDict(told)})
