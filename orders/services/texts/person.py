"""The words that name a person, and a text without them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote, quote_plus

from orders.models.customer import ERASED

#: shorter words stand in too many others
LEAST_LENGTH = 3
#: of JSON, where a number may be a person's; elsewhere the same digits are an amount
NAMING_KEYS = frozenset({"customer", "reference", "customer_reference"})


@dataclass(frozen=True, kw_only=True)
class Person:
    """Whom an erasure is about: reference, name, e-mail address, and what else the asker knows."""

    words: tuple[str, ...]

    @cached_property
    def sought(self) -> tuple[str, ...]:
        """What is looked for, the longest first, so that no half of a name stays behind."""
        words = {" ".join(word.split()) for word in self.words}
        return tuple(sorted((word for word in words if len(word) >= LEAST_LENGTH), key=len, reverse=True))

    @cached_property
    def patterns(self) -> tuple[str, ...]:
        """As they may be written: plainly, in JSON, and in an address."""
        forms: dict[str, None] = {}
        for word in self.sought:
            in_json = (json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1])
            forms |= dict.fromkeys((word, *in_json, quote(word), quote_plus(word)))
        return tuple(forms)

    def clean(self, text: str) -> str:
        """The text with `ERASED` in place of each word."""
        return self._found.sub(ERASED, text) if self.sought else text

    def clean_bytes(self, content: bytes) -> bytes:
        """The same for a file, in either encoding that files have."""
        return self._found_in_bytes.sub(ERASED.encode(), content) if self.sought else content

    def is_in(self, content: bytes) -> bool:
        """Whether a file names the person."""
        return bool(self.sought) and self._found_in_bytes.search(content) is not None

    @cached_property
    def lettered(self) -> Person:
        """Without words of digits alone, which are also somebody else's quantity."""
        return Person(words=tuple(word for word in self.words if not word.strip().isdigit()))

    def clean_value(self, value: Any, key: str = "") -> Any:
        """The same for a text, or for all texts of a document."""
        if isinstance(value, str):
            text = str(value)  # what is opened when it is read is no text to a pattern
            return text if text.isdigit() and key and key not in NAMING_KEYS else self.clean(text)
        if isinstance(value, dict):
            return {self.clean(name): self.clean_value(inner, name) for name, inner in value.items()}
        return [self.clean_value(inner, key) for inner in value] if isinstance(value, list) else value

    @cached_property
    def _found(self) -> re.Pattern[str]:
        # An underscore joins words of a file's name.
        forms = "|".join(re.escape(form) for form in self.patterns)
        return re.compile(rf"(?<![^\W_])(?:{forms})(?![^\W_])", re.IGNORECASE)

    @cached_property
    def _found_in_bytes(self) -> re.Pattern[bytes]:
        forms: set[bytes] = {
            re.escape(cased.encode(encoding, "replace"))
            for word in self.sought
            for written in (word, word.replace('"', '""'))
            for cased in (written, written.lower(), written.upper(), written.title())
            for encoding in ("utf-8", "cp1252")
        }
        edge = rb"[0-9A-Za-z\x80-\xff]"
        listed = b"|".join(sorted(forms, reverse=True))
        return re.compile(rb"(?<!%s)(?:%s)(?!%s)" % (edge, listed, edge), re.IGNORECASE)
