"""Exports: orders frozen at the click, written in parts by a process of their own, kept for some days, then deleted.

The export's row is the authority: every part is stored under its lock, so a cancellation binds from its commit, whether
or not Temporal has heard of it. Which orders are in the file is decided at the click; what it says of them is read when
their part is written. None of these modules knows Temporal.
"""

from orders.services.exports.keeping import Download, download, expire, forget
from orders.services.exports.making import abandon, cancel, write
from orders.services.exports.planning import change, pause, plan, resume, run_due, run_now
from orders.services.exports.requesting import request
from orders.services.selection import Selection

__all__ = [
    "Download",
    "Selection",
    "abandon",
    "cancel",
    "change",
    "download",
    "expire",
    "forget",
    "pause",
    "plan",
    "request",
    "resume",
    "run_due",
    "run_now",
    "write",
]
