"""A password that a guesser would try early is refused, however long it is."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from zxcvbn import zxcvbn

#: of zxcvbn's 0 to 4: "safely unguessable", over 10^8 guesses
LEAST = 3
#: its time grows faster than the length
LONGEST_JUDGED = 64


class NotGuessed:
    """One of AUTH_PASSWORD_VALIDATORS: zxcvbn's lists of breached passwords, names, words, keyboard walks, repeats."""

    def validate(self, password: str, user: Any = None) -> None:
        about = [str(getattr(user, name, "") or "") for name in ("username", "first_name", "last_name", "email")]
        judged = zxcvbn(password[:LONGEST_JUDGED], user_inputs=["backoffice", *filter(None, about)])
        if judged["score"] < LEAST:
            why = judged["feedback"]["warning"] or "Add a word or two that do not belong together."
            raise ValidationError(f"This password would be guessed soon. {why}", code="password_guessed")

    def get_help_text(self) -> str:
        return "Four words that do not belong together are a good password."
