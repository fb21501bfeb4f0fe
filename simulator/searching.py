"""Searching intents by metadata, as far behind the writes as the switch says.

docs.stripe.com/search: not for reading after writing; searchable in under a minute, in an outage up to an hour later.
A search that saw everything at once would let a look-up pass here that misses a payment in production.
"""

import json
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from simulator import behaviour
from simulator.clock import Clock
from simulator.store import Store
from simulator.stripe_forms import Form, invalid, missing_parameter
from simulator.wire import Request, Response, answer

CLAUSE = re.compile(
    r"""\s*metadata\[(['"])(?P<key>[^'"]{1,40})\1\]:(['"])(?P<value>(?:(?!\3)[^\\]|\\.){1,1000})\3\s*"""
)
# The newest state of each candidate that the search has caught up with.
DOCUMENTS = """
SELECT intents.seq AS seq, (
    SELECT body FROM search_documents WHERE intent_seq = intents.seq AND written_at <= ? ORDER BY seq DESC LIMIT 1
) AS body FROM intents WHERE intents.seq < ?
"""
CARRIES = " AND intents.seq IN (SELECT intent_seq FROM intent_metadata WHERE key = ? AND value = ?)"


def search(store: Store, clock: Clock, request: Request) -> Response:
    """GET /v1/payment_intents/search?query=metadata['key']:'value' [AND ...]: exact matches, newest first."""
    form = Form(request, frozenset({"query", "limit", "page"}))
    limit, pairs = form.limit(), _clauses(form.text("query") or missing_parameter("query"))
    cursor = form.text("page")
    # The page token is the sequence number of the last intent shown.
    before = int(cursor) if cursor and re.fullmatch(r"[0-9]{1,18}", cursor) else 2**62
    found: list[tuple[int, dict[str, Any]]] = []
    with store.read() as snapshot:
        caught_up = clock.now(snapshot) - behaviour.load(snapshot).search_lag_seconds
        for item in _matching(snapshot, pairs, caught_up, before):
            found.append(item)
            if len(found) > limit:
                break
    more = len(found) > limit
    return answer(
        200,
        {
            "object": "search_result",
            "url": "/v1/payment_intents/search",
            "has_more": more,
            "next_page": str(found[limit - 1][0]) if more else None,
            "data": [body for _, body in found[:limit]],
        },
    )


def _matching(
    snapshot: sqlite3.Connection, pairs: list[tuple[str, str]], caught_up: float, before: int
) -> Iterator[tuple[int, dict[str, Any]]]:
    sql = DOCUMENTS + CARRIES * len(pairs) + " ORDER BY intents.seq DESC"
    for row in snapshot.execute(sql, (caught_up, before, *(part for pair in pairs for part in pair))):
        if row["body"] is None:
            continue
        body = json.loads(row["body"])
        # The metadata of that state counts, not what the intent carries today.
        if all(body["metadata"].get(key) == value for key, value in pairs):
            yield row["seq"], body


def _clauses(query: str) -> list[tuple[str, str]]:
    pairs, position = [], 0
    while True:
        found = CLAUSE.match(query, position)
        if found is None:
            invalid("This search knows only metadata['key']:'value' [AND ...]", param="query")
        pairs.append((found["key"], re.sub(r"\\(.)", r"\1", found["value"])))
        if found.end() == len(query):
            return pairs
        # A value may itself contain the word AND, so it is read here, after a whole clause, and nowhere else.
        position = found.end() + 3
        if query[found.end() : position] != "AND":
            invalid("Clauses of a search are joined by AND", param="query")
