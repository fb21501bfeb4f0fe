"""What happens by itself: banks answer, customers confirm, cardholders dispute, deadlines pass.

It is applied before any call reads or writes the books, and by a thread when no call comes. So an answer never depends
on how far a thread has got, and turning the clock by days has done its work before the next answer.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

from simulator import attempts, charges, disputes, intents, refunds
from simulator.context import Context

#: changes in one transaction; a caller waits no longer than for these
BATCH = 200

NEXT = "SELECT * FROM due WHERE at <= ? ORDER BY at, seq LIMIT 1"
KINDS: dict[str, Callable[[Context, str], object]] = {
    "debit_settles": lambda ctx, name: attempts.settle_debit(ctx, intents.load(ctx.tx, name)),
    "authorization_expires": lambda ctx, name: attempts.expire_authorization(ctx, intents.load(ctx.tx, name)),
    "customer_confirms": lambda ctx, name: attempts.hear_customer(ctx, intents.load(ctx.tx, name), confirmed=True),
    "customer_refuses": lambda ctx, name: attempts.hear_customer(ctx, intents.load(ctx.tx, name), confirmed=False),
    "refund_arrives": lambda ctx, name: refunds.arrive(ctx, refunds.load(ctx.tx, name)),
    "refund_fails": lambda ctx, name: refunds.give_up(
        ctx, refunds.load(ctx.tx, name), "failed", "expired_or_canceled_card", cause="bank"
    ),
    "refund_expires": lambda ctx, name: refunds.give_up(
        ctx, refunds.load(ctx.tx, name), "failed", "unknown", cause="customer"
    ),
    "dispute_opens": lambda ctx, name: disputes.open_for(ctx, charges.load(ctx.tx, name)),
    "dispute_decided": lambda ctx, name: disputes.decide(ctx, disputes.load(ctx.tx, name)),
    "dispute_expires": lambda ctx, name: disputes.expire(ctx, disputes.load(ctx.tx, name)),
}


def waits(tx: sqlite3.Connection, now: float) -> bool:
    """Say whether anything is due."""
    return tx.execute("SELECT 1 FROM due WHERE at <= ? LIMIT 1", (now,)).fetchone() is not None


def apply(ctx: Context) -> bool:
    """Apply what is due until `ctx.now`, the earliest first, and say whether more is left for a next transaction.

    Each change happens at the moment it was due, so that what it schedules in turn is reckoned from there.
    """
    for _ in range(BATCH):
        row = ctx.tx.execute(NEXT, (ctx.now,)).fetchone()
        if row is None:
            return False
        ctx.tx.execute("DELETE FROM due WHERE seq = ?", (row["seq"],))
        KINDS[row["kind"]](replace(ctx, now=row["at"]), row["object_id"])
    return waits(ctx.tx, ctx.now)
