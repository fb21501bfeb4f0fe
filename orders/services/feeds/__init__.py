"""Order feeds: a file of invoices comes in, orders and credit notes come out, and every refusal can be downloaded.

Three phases (validate, transform, store), each written so that it may die at any moment and go on where it stopped: the
cursor of a phase is what the phase has already written. None of them knows Temporal; `beat` is how they tell their
caller that they live, at every point where they may be stopped.
"""

from orders.services.feeds.checking import invoices_csv, report
from orders.services.feeds.keeping import expire, kept
from orders.services.feeds.phases import abandon
from orders.services.feeds.receiving import convert, receive
from orders.services.feeds.rejects import bad_rows_csv
from orders.services.feeds.reporting import Progress, figures, per_minute, progress, why_quiet
from orders.services.feeds.staging import validate
from orders.services.feeds.steering import possible, tell
from orders.services.feeds.storing import store
from orders.services.feeds.transforming import transform
from orders.services.feeds.waiting import TimedOut, follow, patiently

__all__ = [
    "Progress",
    "TimedOut",
    "abandon",
    "bad_rows_csv",
    "convert",
    "expire",
    "figures",
    "follow",
    "invoices_csv",
    "kept",
    "patiently",
    "per_minute",
    "possible",
    "progress",
    "receive",
    "report",
    "store",
    "tell",
    "transform",
    "validate",
    "why_quiet",
]
