"""Users, groups and sign-in attempts, in the back office's look.

Third parties register themselves on Django's plain admin, which looks broken inside Unfold and lets rows be edited.
"""

from __future__ import annotations

from typing import Any, cast

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as PlainGroupAdmin
from django.contrib.auth.admin import UserAdmin as PlainUserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from orders import clock
from orders.actor import Actor, person
from orders.admin.filters import RelatedFilter, YesNoFilter
from orders.admin.reading import ReadOnlyAdmin, ago
from orders.admin.waiting import WaitingShown
from orders.errors import WrongState
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


@admin.register(User)
class UserAdmin(PlainUserAdmin, GivingAdmin):  # type: ignore[misc]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
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

    def give(self, obj: Model, form: Any, *, actor: Actor) -> Approval | None:
        given = form.cleaned_data
        wanted: role_giving.Rights = {flag: given[flag] for flag in role_giving.FLAGS if flag in given}
        if "groups" in given:
            wanted["groups"] = [group.name for group in given["groups"]]
        if "user_permissions" in given:
            wanted["permissions"] = role_giving.named(given["user_permissions"])
        return role_giving.change_account(cast(User, obj).username, wanted, actor=actor, reason=ASKED)

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with accounts.changed_by(request.user):
            return super().user_change_password(request, *args, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is not None:
            # History keeps names: a second person under a name that has become free would take over the first one's.
            fields = (*fields, "username")
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
