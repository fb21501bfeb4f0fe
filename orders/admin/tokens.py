"""API tokens: who holds which, what each may do, when it was last used, and the button that ends it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from orders import clock
from orders.actor import person
from orders.admin.reading import QuietChangeList, ReadOnlyAdmin, badge
from orders.errors import InvalidInput
from orders.models import ApiToken
from orders.scopes import SAYS
from orders.services import tokens
from orders.vocabulary import Channel
from orders.wording import Tone


class TokenForm(forms.Form):
    name = forms.CharField(max_length=80, widget=UnfoldAdminTextInputWidget, help_text="What will use the token.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope}: {words}") for scope, words in SAYS.items()],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="They only narrow what you may do yourself.",
    )
    days = forms.IntegerField(
        initial=lambda: settings.TOKEN_DEFAULT_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many days it works.",
    )


class TokenList(QuietChangeList):
    """Links by a token's public id: its key is the digest, and addresses stand in logs."""

    def url_for_result(self, result: Model) -> str:
        assert isinstance(result, ApiToken)
        return reverse("admin:orders_apitoken_change", args=[result.public_id])


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("name", "user", "scopes_", "state", "created", "last_used_at", "expiry")
    list_select_related = ("user",)
    fields = ("name", "user", "scopes_", "state", "issued_by", "created", "last_used_at", "expiry")
    readonly_fields = ("scopes_", "state")
    search_fields = ("user__username__exact", "name__exact")
    search_help_text = "Who holds it, or its name"
    ordering = ("-created",)
    sortable_by = ()
    actions = ("revoke",)

    def get_urls(self) -> list[URLPattern]:
        issue = path("issue/", self.admin_site.admin_view(self.issue_view), name="orders_apitoken_issue")
        return [issue, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TokenList

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> ApiToken | None:
        try:
            found: ApiToken | None = self.get_queryset(request).filter(public_id=object_id).first()
        except (ValidationError, ValueError):
            return None
        return found

    def has_revoke_token_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.revoke_token")  # type: ignore[union-attr]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        button = {"title": "Issue a token", "path": reverse("admin:orders_apitoken_issue"), "icon": "key"}
        may = request.user.has_perm("orders.issue_token")  # type: ignore[union-attr]
        response = super().changelist_view(request, extra_context)
        if isinstance(response, TemplateResponse) and response.context_data is not None:
            response.context_data["actions_list"] = [{**button, "attrs": {}, "variant": "primary"}] if may else []
        return response

    def issue_view(self, request: HttpRequest) -> HttpResponse:
        """The answer to the form shows the token; it is shown nowhere else, so it is stored nowhere on its way."""
        if not request.user.has_perm("orders.issue_token"):  # type: ignore[union-attr]
            raise PermissionDenied("This needs the permission orders.issue_token.")
        form = TokenForm(request.POST or None)
        context: dict[str, Any] = {"form": form, "title": "Issue an API token"}
        if request.method == "POST" and form.is_valid():
            try:
                token, secret = tokens.issue(actor=person(request.user, Channel.ADMIN), **form.cleaned_data)
                context |= {"token": token, "secret": secret}
            except InvalidInput as refusal:
                form.add_error(refusal.field, str(refusal))
        request.current_app = self.admin_site.name  # type: ignore[attr-defined]
        response = render(request, "orders/token.html", {**self.admin_site.each_context(request), **context})
        response["Cache-Control"] = "no-store"
        return response

    @admin.action(description="Revoke", permissions=["revoke_token"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        actor = person(request.user, Channel.ADMIN)
        chosen = list(queryset.values_list("public_id", flat=True))
        for public_id in chosen:
            tokens.revoke(public_id, actor=actor, reason="Revoked in the list of tokens")
        self.message_user(request, f"Revoked: {len(chosen)}. They stopped working.", messages.SUCCESS)

    @admin.display(description="May")
    def scopes_(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="State")
    def state(self, token: ApiToken) -> SafeString:
        if token.revoked_at is not None:
            why = f"Revoked by {token.revoked_by} on {token.revoked_at:%d %b %Y}: {token.revoked_why}"
            return badge(Tone.NEUTRAL, why)
        if token.expiry is not None and token.expiry <= clock.now():
            return badge(Tone.NEUTRAL, "Expired")
        return badge(Tone.DONE, "Works")
