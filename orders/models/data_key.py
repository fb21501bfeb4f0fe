"""Keys of their own for what must be forgotten, each wrapped by a master key of the environment.

Backups, dead rows and replicas cannot be searched for a name. What was encrypted with a key of its own is unreadable in
all of them from the moment in which the row of that key is deleted.
"""

from __future__ import annotations

import os
import uuid
from functools import cached_property
from typing import Self

from django.conf import settings
from django.db import models

from orders import clock, keyring
from orders.keyring import Keyring

KEYS_VARIABLE = "BACKOFFICE_PERSONAL_DATA_KEYS"


def master_keys() -> Keyring:
    """The keys that wrap the others; from the environment, never from the database."""
    return keyring.keyring(KEYS_VARIABLE, settings.PERSONAL_DATA_KEYS)


class DataKey(models.Model):
    """A random key, wrapped by the master key of that id. Deleting the row is the erasure."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    master_key_id = models.CharField(max_length=64)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        abstract = True
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.id)

    @classmethod
    def new(cls) -> Self:
        """A fresh random key, not saved yet."""
        key = cls(id=uuid.uuid4())
        key.master_key_id, key.wrapped = master_keys().encrypt(os.urandom(keyring.KEY_BYTES), place=key._place)
        return key

    @property
    def _place(self) -> str:
        return f"{self._meta.db_table}.wrapped of {self.id}"

    @cached_property
    def secret(self) -> bytes:
        """Raises `keyring.Unreadable`."""
        return master_keys().decrypt(self.master_key_id, bytes(self.wrapped), place=self._place)


class FileKey(DataKey):
    """The key of one stored file: an import's, or an export's with all of its parts."""

    class Meta(DataKey.Meta):
        pass

    @classmethod
    def saved(cls) -> Self:
        """A new one, in the caller's transaction."""
        key = cls.new()
        key.save(force_insert=True)
        return key
