"""The addresses below /accounts/. Those that are closed keep their names, which allauth looks up."""

from allauth.account.views import LogoutView
from django.urls import include, path

from backoffice import account_pages

urlpatterns = [
    path("login/", account_pages.SignIn.as_view(), name="account_login"),
    path("logout/", LogoutView.as_view(), name="account_logout"),
    path("signup/", account_pages.closed, name="account_signup"),
    path("email/", account_pages.closed, name="account_email"),
    path("confirm-email/", account_pages.closed, name="account_email_verification_sent"),
    path("confirm-email/<str:key>/", account_pages.closed, name="account_confirm_email"),
    path("password/set/", account_pages.closed, name="account_set_password"),
    path("3rdparty/", account_pages.closed, name="socialaccount_connections"),
    path("3rdparty/signup/", account_pages.closed, name="socialaccount_signup"),
    path("sessions/", account_pages.session_list, name="usersessions_list"),
    path("sessions/others/", account_pages.end_other_sessions, name="account_end_other_sessions"),
    path("sessions/<int:pk>/end/", account_pages.end_session, name="account_end_session"),
    path("", include("allauth.urls")),
]
