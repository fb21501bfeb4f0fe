"""Every door of the product.

`/healthz` answers without the database: it says that the web process lives. `/readyz` says whether it can do its work.
"""

from allauth.account.decorators import secure_admin_login
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
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
urlpatterns = [
    path("", RedirectView.as_view(url="/admin/")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path(policy_reports.ADDRESS[1:], policy_reports.policy_reports),
    path("admin/", admin.site.urls),
    path("accounts/", include("backoffice.account_urls")),
    path("orders/", include("orders.urls")),
    path("codec/decode", decode),
    path("api/", include("orders.api.urls")),
]
