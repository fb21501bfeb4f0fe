"""Users, groups and sign-in attempts, in the back office's look.

Third parties register themselves on Django's plain admin, which looks broken inside Unfold and lets rows be edited.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.forms import UserChangeForm, UsernameField
from django.contrib.auth.models import Group, User
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter

from orders import clock
from orders.actor import Actor, person
from orders.admin.filters import RelatedFilter, YesNoFilter
from orders.admin.reading import ReadOnlyAdmin, ago
from orders.admin.waiting import WaitingShown
from orders.errors import InvalidInput, WrongState
from orders.models import AccountChange, Approval, RefusedAction
from orders.services import accounts, role_giving
from orders.vocabulary import Channel

for model in (User, Group, AccessAttempt, AccessFailureLog, AccessLog):
    if admin.site.is_registered(model):
        admin.site.unregister(model)

#: whoever may change users must not make a superuser of themselves
#: the form has no field for a reason
ASKED = "Asked for in the form of the account or group"
FOR_SUPERUSERS = ("is_superuser", "is_staff", "groups", "user_permissions")


class GivingAdmin(WaitingShown):
    """A form that takes rights away at once, and asks a second person for those that it gives."""

    def give(self, obj: Model, form: Any, *, actor: Actor) -> Approval | None:
        raise NotImplementedError

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Instead of what the form would store by itself: it knows no second person."""
        try:
            waiting = self.give(form.instance, form, actor=person(request.user, Channel.ADMIN))
            said = f"{waiting.says} It waits for a second person. The rest is saved." if waiting else ""
        except WrongState as refusal:
            said = f"{refusal} The rest is saved."
        request.waits = said  # type: ignore[attr-defined]

    def response_change(self, request: HttpRequest, obj: Model) -> HttpResponse:
        return self._waits(request, obj) or cast(HttpResponse, super().response_change(request, obj))

    def response_add(self, request: HttpRequest, obj: Model, post_url_continue: str | None = None) -> HttpResponse:
        return self._waits(request, obj) or cast(HttpResponse, super().response_add(request, obj, post_url_continue))

    def _waits(self, request: HttpRequest, obj: Model) -> HttpResponse | None:
        """Instead of "was changed": its page, which says what waits."""
        if not request.waits:  # type: ignore[attr-defined]
            return None
        messages.warning(request, request.waits)  # type: ignore[attr-defined]
        return redirect(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", obj.pk)

    def changeform_view(self, request: HttpRequest, object_id: Any = None, *args: Any, **kwargs: Any) -> Any:
        with accounts.changed_by(request.user):
            return super().changeform_view(request, object_id, *args, **kwargs)


class InvitationForm(forms.ModelForm):
    """A new account; its owner chooses the password."""

    class Meta:
        model = User
        fields = ("username", "email")
        field_classes = {"username": UsernameField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].required = True
        self.fields["email"].help_text = "A link to choose a password goes there."

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if User.objects.filter(email__iexact=email).exists():
            raise forms.ValidationError("Another account has this address.")
        return email

    def save(self, commit: bool = True) -> User:
        self.instance.set_unusable_password()
        made: User = super().save(commit)
        return made


class AccountForm(UserChangeForm):
    """Without the password, which only its owner chooses."""

    password = None  # type: ignore[assignment]

    def clean_email(self) -> str:
        email: str = self.cleaned_data.get("email", "")
        if email and User.objects.filter(email__iexact=email).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError("Another account has this address.")
        return email


def unsent() -> str:
    """What to add to "a link was sent" where none was."""
    if settings.EMAIL_HOST:
        return ""
    where = "it stands in web.log" if settings.ENVIRONMENT == "dev" else "nothing was sent"
    return f" But no mail server is configured (EMAIL_HOST): {where}."


@admin.register(User)
class UserAdmin(PlainUserAdmin, GivingAdmin):  # type: ignore[misc]
    form = AccountForm
    add_form = InvitationForm
    add_fieldsets = ((None, {"fields": ("username", "email")}),)
    fieldsets = (
        (None, {"fields": ("username", "email", "first_name", "last_name")}),
        ("Permissions", {"fields": ("is_active", "is_staff", "is_superuser", "groups", "user_permissions")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    actions = ("send_link", "remove_factor")
    compressed_fields = True
    list_filter = (
        ("is_staff", YesNoFilter),
        ("is_superuser", YesNoFilter),
        ("is_active", YesNoFilter),
        ("groups", RelatedFilter),
    )
    list_filter_submit = True

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = User.objects.get(pk=obj.pk) if change else User()
        for flag in role_giving.FLAGS:
            if change or flag != "is_active":
                setattr(obj, flag, getattr(before, flag))
        super().save_model(request, obj, form, change)
        if not change:
            accounts.send_link(obj, actor=person(request.user, Channel.ADMIN), is_new=True)
            self.message_user(request, f"A link to choose a password goes to {obj.email}.{unsent()}")

    def give(self, obj: Model, form: Any, *, actor: Actor) -> Approval | None:
        given = form.cleaned_data
        wanted: role_giving.Rights = {flag: given[flag] for flag in role_giving.FLAGS if flag in given}
        if "groups" in given:
            wanted["groups"] = [group.name for group in given["groups"]]
        if "user_permissions" in given:
            wanted["permissions"] = role_giving.named(given["user_permissions"])
        return role_giving.change_account(cast(User, obj).username, wanted, actor=actor, reason=ASKED)

    def get_urls(self) -> list[Any]:
        """Without Django's page on which one person chooses the password of another."""
        return [one for one in super().get_urls() if one.name != "auth_user_password_change"]

    def has_change_user_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("auth.change_user")  # type: ignore[union-attr]

    def has_delete_authenticator_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mfa.delete_authenticator")  # type: ignore[union-attr]

    @admin.action(description="Send a link to choose a password", permissions=["change_user"])
    def send_link(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._for_each(request, queryset, accounts.send_link, f"A link was sent.{unsent()}")

    @admin.action(description="Remove the second factor", permissions=["delete_authenticator"])
    def remove_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._for_each(request, queryset, accounts.remove_factors, "The second factor was removed.")

    def _for_each(self, request: HttpRequest, chosen: QuerySet[User], do: Callable[..., None], done: str) -> None:
        for user in chosen:
            try:
                do(user, actor=person(request.user, Channel.ADMIN))
            except InvalidInput as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
            else:
                self.log_change(request, user, done)
                self.message_user(request, f"{user}: {done}", messages.SUCCESS)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is not None:
            # History keeps names: a second person under a name that has become free would take over the first one's.
            fields = (*fields, "username")
        if obj is not None and not request.user.is_superuser:  # type: ignore[union-attr]
            # Whoever moves the address of an account gets its links.
            fields = (*fields, "email")
        return fields if request.user.is_superuser else (*fields, *FOR_SUPERUSERS)  # type: ignore[union-attr]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A superuser's account (and password) is changed by superusers only."""
        if obj is not None and obj.is_superuser and not request.user.is_superuser:  # type: ignore[union-attr]
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Users are made inactive, never deleted: history and commands name them."""
        return False


@admin.register(Group)
class GroupAdmin(PlainGroupAdmin, GivingAdmin):  # type: ignore[misc]
    def give(self, obj: Model, form: Any, *, actor: Actor) -> Approval | None:
        wanted = role_giving.named(form.cleaned_data["permissions"])
        return role_giving.change_group(cast(Group, obj).name, wanted, actor=actor, reason=ASKED)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_superuser)  # type: ignore[union-attr]

    has_add_permission = has_change_permission  # type: ignore[assignment]
    has_delete_permission = has_change_permission


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ReadOnlyAdmin):
    """Wrong sign-ins that count towards a lock; deleting one lifts it."""

    list_display = ("attempt_time", "username", "ip_address", "failures_since_start")
    fields = ("attempt_time", "username", "ip_address", "user_agent", "path_info", "failures_since_start")
    search_fields = ("username__exact", "ip_address__exact")

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(ModelAdmin.has_delete_permission(self, request, obj))


@admin.register(AccessFailureLog)
class AccessFailureLogAdmin(ReadOnlyAdmin):
    """Every wrong sign-in, also after its lock has ended; the one that locked says so."""

    list_display = ("attempt_time", "username", "ip_address", "locked_out")
    list_filter = (("locked_out", YesNoFilter),)
    fields = ("attempt_time", "username", "ip_address", "user_agent", "path_info", "locked_out")
    search_fields = ("username__exact", "ip_address__exact")


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    list_display = ("attempt_time", "logout_time", "username", "ip_address")
    fields = ("attempt_time", "logout_time", "username", "ip_address", "user_agent", "path_info")
    search_fields = ("username__exact", "ip_address__exact")


@admin.register(RefusedAction)
class RefusedActionAdmin(ReadOnlyAdmin):
    """Who tried what without the permission; refusals of one hour are counted in one row."""

    list_display = ("last", "actor", "action", "subject", "times", "channel", "permission", "address", "request_id")
    list_filter = (("channel", ChoicesDropdownFilter),)
    search_fields = ("actor__exact", "action__exact", "subject__exact", "request_id__exact")
    search_help_text = "Who, command, object or request id"
    ordering = ("-last_at",)
    sortable_by = ()

    @admin.display(description="Last time")
    def last(self, refusal: RefusedAction) -> SafeString:
        return ago(refusal.last_at, clock.now())


@admin.register(AccountChange)
class AccountChangeAdmin(ReadOnlyAdmin):
    """What made an account fresh: it approves nothing for some hours after."""

    list_display = ("at", "account", "what", "by")
    list_select_related = ("account", "by")
    list_filter = (("what", ChoicesDropdownFilter),)
    search_fields = ("account__username__exact",)
    search_help_text = "Account"
    ordering = ("-id",)
    sortable_by = ()
