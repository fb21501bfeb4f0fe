"""Words that people typed, in rows that must never change: encrypted with a key of their own that can be destroyed.

The history is chained by hashes, and no account may rewrite it; so what somebody typed there is stored encrypted, and
the chain covers what is stored. When the key is deleted the chain holds as before, and every copy is unreadable.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from uuid import UUID

from django.db import models
from django.utils.functional import SimpleLazyObject

from orders import keyring
from orders.models.data_key import DataKey

#: shown in place of words whose key was destroyed
GONE = "erased"
STORED = re.compile(r"sealed:(?P<key>[0-9a-f-]{36}):(?P<sealed>[A-Za-z0-9+/=]+)")


class WordKey(DataKey):
    """The key of one text."""

    class Meta(DataKey.Meta):
        pass


class Keys:
    """The keys of texts that one statement read: one more reads them all, when the first text is opened."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._ids = {key for key in map(key_of, texts) if key is not None}

    @cached_property
    def found(self) -> dict[UUID, WordKey]:
        return WordKey.objects.in_bulk(self._ids) if self._ids else {}


class Sealed(SimpleLazyObject):
    """What was typed, opened when somebody reads it; `stored` is what the table holds."""

    def __init__(self, stored: str) -> None:
        super().__init__(lambda: opened(stored, self.__dict__["keys"]))
        self.__dict__["stored"] = stored
        self.__dict__["keys"] = None

    def read_with(self, keys: Keys) -> None:
        """Say where its key will be found."""
        self.__dict__["keys"] = keys


def sealed(text: str) -> Sealed:
    """The text under a new key, which is saved in the caller's transaction."""
    key = WordKey.new()
    key.save(force_insert=True)
    content = keyring.encrypt(key.secret, text.encode(), place=_place(key.pk))
    return Sealed(f"sealed:{key.pk}:{base64.b64encode(content).decode()}")


def opened(stored: str, keys: Keys | None = None) -> str:
    """What was typed, or `GONE`. Raises `keyring.Unreadable`."""
    key_id = key_of(stored)
    if key_id is None:
        return stored
    key = (keys or Keys([stored])).found.get(key_id)
    return GONE if key is None else opened_with(key, stored)


def opened_with(key: WordKey, stored: str) -> str:
    """The same with a key that was read before."""
    found = STORED.fullmatch(stored)
    assert found is not None
    return keyring.decrypt(key.secret, base64.b64decode(found["sealed"]), place=_place(key.pk)).decode()


def stored_of(text: Any) -> Any:
    """What the table holds for a text, and what hashes cover."""
    return text.stored if isinstance(text, Sealed) else text


def key_of(stored: str) -> UUID | None:
    """Of which key it is; None for a text that is not encrypted."""
    found = STORED.fullmatch(stored)
    return None if found is None else UUID(found["key"])


class TypedRows(models.QuerySet[Any, Any]):
    """Rows with such texts: a page of a hundred asks for their keys once."""

    def _fetch_all(self) -> None:
        is_read = self._result_cache is not None
        super()._fetch_all()
        if not is_read and self._result_cache and isinstance(self._result_cache[0], models.Model):
            _read_together(self._result_cache)


def _read_together(rows: list[Any]) -> None:
    fields = rows[0]._meta.concrete_fields
    words = [field.attname for field in fields if isinstance(field, TypedField)]
    documents = [field.attname for field in fields if isinstance(field, TypedDocument)]
    read: list[Any] = [row.__dict__.get(name) for row in rows for name in words]
    for document in (row.__dict__.get(name, {}) for row in rows for name in documents):
        read += document.values()
    texts = [one for one in read if isinstance(one, Sealed)]
    keys = Keys(text.stored for text in texts)
    for text in texts:
        text.read_with(keys)
    for row in rows:
        for name in documents:
            if name in row.__dict__:
                document = row.__dict__[name]
                row.__dict__[name] = {
                    key: str(one) if isinstance(one, Sealed) else one for key, one in document.items()
                }


class TypedField(models.TextField):
    """A text of such a row. Unless `by_hand`, whatever is saved is encrypted; rows of before stay as they are."""

    def __init__(self, *args: Any, by_hand: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.by_hand = by_hand

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return value if value is None or key_of(value) is None else Sealed(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        text = getattr(model_instance, self.attname)
        if text and not self.by_hand and not isinstance(text, Sealed):
            text = sealed(text)
            setattr(model_instance, self.attname, text)
        return text

    def to_python(self, value: Any) -> Any:
        return value if isinstance(value, Sealed) else super().to_python(value)

    def get_prep_value(self, value: Any) -> Any:
        return stored_of(value) if isinstance(value, Sealed) else super().get_prep_value(value)


class TypedDocument(models.JSONField):
    """The same for a document, text by text; what are no texts, and the names, stay."""

    def from_db_value(self, value: Any, *arguments: Any) -> Any:
        document = super().from_db_value(value, *arguments)
        return {name: Sealed(one) if _is_sealed(one) else one for name, one in document.items()}

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        document = getattr(model_instance, self.attname)
        return {name: sealed(one).stored if isinstance(one, str) else one for name, one in document.items()}


def _is_sealed(value: Any) -> bool:
    return isinstance(value, str) and key_of(value) is not None


def _place(key_id: UUID) -> str:
    return f"words under {key_id}"
