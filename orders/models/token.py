"""API tokens, and how often each caller called."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from knox.models import AbstractAuthToken

from orders import clock
from orders.models.rules import never_deleted
from orders.scopes import Scope


class ApiToken(AbstractAuthToken):
    """A token by its digest. The row is the audit of its life: it is never deleted, and says who ended it and why."""

    #: by the clock of the database; knox would take that of the process
    created = models.DateTimeField(default=clock.now, editable=False)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    name = models.CharField(max_length=80)
    scopes = ArrayField(models.CharField(max_length=40))
    issued_by = models.CharField(max_length=150)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    revoked_by = models.CharField(max_length=150, blank=True)
    revoked_why = models.CharField(max_length=200, blank=True)

    class Meta:
        default_permissions = ("view",)
        permissions = [("issue_token", "Can issue API tokens"), ("revoke_token", "Can revoke API tokens")]
        verbose_name = "API token"
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__len__gt=0, scopes__contained_by=[scope.value for scope in Scope]),
                name="api_token_scopes_word",
            ),
        ]
        triggers = never_deleted()

    def __str__(self) -> str:
        return self.name


class RequestCount(models.Model):
    """Requests of one caller in the running minute; see orders/limits.py."""

    caller = models.CharField(max_length=120, primary_key=True)
    window = models.BigIntegerField()
    hits = models.PositiveIntegerField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.caller


class SharedNote(models.Model):
    """What all web processes remember for a while, such as codes that were used; see backoffice/shared_cache.py."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.JSONField()
    ends_at = models.DateTimeField(db_index=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.key
