"""Who is signed in where, and the button that ends it."""

from __future__ import annotations

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.models import UserSession
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from orders.actor import person
from orders.admin.reading import ReadOnlyAdmin
from orders.services import sessions
from orders.vocabulary import Channel

# They are the accounts' owners' own, or are settings here.
for model in (EmailAddress, Authenticator, SocialAccount, SocialApp, SocialToken, UserSession):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(UserSession)
class UserSessionAdmin(ReadOnlyAdmin):
    list_display = ("user", "created_at", "ip", "user_agent")
    list_select_related = ("user",)
    fields = ("user", "created_at", "ip", "user_agent")
    search_fields = ("user__username__exact", "ip__exact")
    search_help_text = "Who, or the address"
    ordering = ("-created_at",)
    sortable_by = ()
    actions = ("end",)

    def has_delete_usersession_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("usersessions.delete_usersession")  # type: ignore[union-attr]

    @admin.action(description="End the session", permissions=["delete_usersession"])
    def end(self, request: HttpRequest, queryset: QuerySet[UserSession]) -> None:
        actor = person(request.user, Channel.ADMIN)
        chosen = list(queryset.select_related("user"))
        for session in chosen:
            self.log_change(
                request, session.user, f"Ended the session that began at {session.created_at:%Y-%m-%d %H:%M}"
            )
            sessions.end(session, actor=actor)
        self.message_user(request, f"Ended: {len(chosen)}.", messages.SUCCESS)
