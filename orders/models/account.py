"""What happened to accounts and roles: who may approve, and what `bootstrap` gives, depends on it."""

from django.conf import settings
from django.db import models

from orders import clock
from orders.models.rules import append_only, one_of, word_field
from orders.vocabulary import AccountEvent


class AccountChange(models.Model):
    """An account was made, got a password, role or mail address, lost its factor, or was switched on. Append-only."""

    account = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    what = word_field(AccountEvent)
    #: the person in the admin who did it; none for the machine's operator
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        triggers = append_only()
        indexes = [models.Index(fields=["account", "-at"], name="account_change_recent")]
        constraints = [one_of("account_change", "what", AccountEvent)]

    def __str__(self) -> str:
        return f"{self.account} {self.what}"


class GivenPermission(models.Model):
    """A permission that `bootstrap` gave to a role once; what was taken away since is not given back. Append-only."""

    role = models.CharField(max_length=40)
    #: "app.codename"
    permission = models.CharField(max_length=150)
    at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        default_permissions = ("view",)
        triggers = append_only()
        constraints = [models.UniqueConstraint(fields=["role", "permission"], name="given_permission_once")]

    def __str__(self) -> str:
        return f"{self.role} {self.permission}"
