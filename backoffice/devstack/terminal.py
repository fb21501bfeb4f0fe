"""Lines on the terminal: short, prefixed, and a passing one while something is slow.

Piped output (CI, a log file) gets whole lines only; on a terminal the waiting line is rewritten in place. Everything
goes to stderr, so that a command's `--json` on stdout stays clean.
"""

import sys
import time

_passing = ""


def say(name: str, message: str) -> None:
    """Print one lifecycle line, after removing the passing one."""
    clear()
    print(f"{time.strftime('%H:%M:%S')} {name:<10} {message}", file=sys.stderr, flush=True)


def passing(message: str) -> None:
    """Show what is being waited for; only on a terminal."""
    global _passing
    if sys.stderr.isatty() and message != _passing:
        sys.stderr.write(f"\r\x1b[2K{message[:110]}")
        sys.stderr.flush()
        _passing = message


def clear() -> None:
    global _passing
    if _passing:
        sys.stderr.write("\r\x1b[2K")
        sys.stderr.flush()
        _passing = ""
