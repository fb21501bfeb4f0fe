"""Every door of the product.

`/healthz` answers without the database: it says that the web process lives. `/readyz` says whether it can do its work.
"""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView

from backoffice import policy_reports
from backoffice.readiness import readyz
from temporal_app.codec_endpoint import decode


def healthz(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok\n", content_type="text/plain; charset=utf-8")


handler400 = "backoffice.failures.bad_request"
handler500 = "backoffice.failures.server_error"
urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("healthz", healthz),
    path("readyz", readyz),
    path(policy_reports.ADDRESS[1:], policy_reports.policy_reports),
    path("admin/", admin.site.urls),
    path("orders/", include("orders.urls")),
    path("codec/decode", decode),
    path("api/", include("orders.api.urls")),
]
