"""Codes of vouchers are money: whoever may not issue vouchers reads that there is one, and not which."""

from __future__ import annotations

import re
from typing import Any

CODE = re.compile(r"\bV-[0-9A-F]{12}\b")


def masked(value: Any) -> Any:
    """The text, or the value with every text in it, without the codes."""
    if isinstance(value, str):
        return CODE.sub(lambda found: f"{found[0][:4]}\u2026", value)
    if isinstance(value, dict):
        return {name: masked(one) for name, one in value.items()}
    return [masked(one) for one in value] if isinstance(value, list) else value
