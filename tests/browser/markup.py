"""What a page is made of, as far as it decides how the page is drawn and worked, and where it leads."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path
from urllib.parse import parse_qsl, urldefrag, urljoin, urlsplit

from django.contrib.staticfiles import finders
from django.urls import Resolver404, resolve

#: what stands between two neighbours, or the outline of the page
Part = tuple[str, ...]
PIECE = re.compile(r"<!--.*?-->|<script\b.*?</script>|</?[a-z][^>]*>|[^<\s][^<]*", re.DOTALL)
ATTRIBUTE = re.compile(r"""\s([\w@:.-]+)(?:\s*=\s*("[^"]*"|'[^']*'))?""")
#: attributes whose value decides how an element looks or works; of the others it counts whether there is one
DECIDE = re.compile(r"class|type|role|style|tabindex|aria-(?!label|labelledby|describedby|controls|owns)\w+|x-.*|@.*")
#: classes that name what stands in an element
NAME = re.compile(r"(field|column|model|app)-.+")
STYLES = ("orders/backoffice.css", "unfold/css/styles.css")
OUTLINE = re.compile(r"<(h[1-6]|main|nav|header|aside|footer|section|dialog)\b")
#: what a GET must not be sent to
NOT_ASKED = ("/admin/logout/",)
#: links of one kind on one page that are asked: the others differ by the row they stand in
OF_A_KIND = 3


def parts(page: str) -> set[Part]:
    """Each piece with its neighbours: a field without its label is another part than one with it."""
    pieces = [_piece(one) for one in PIECE.findall(page) if not one.startswith(("<!--", "<script"))]
    outline = tuple(element for element, _ in groupby(OUTLINE.findall(page)))
    return {outline, *zip(pieces, pieces[1:], pieces[2:], strict=False)}


@cache
def _piece(found: str) -> str:
    if not found.startswith("<"):
        return "words"
    tag = found.removesuffix(">").partition(" ")[0]
    return " ".join([tag, *(f"{name}={_deciding(name, value[1:-1])}" for name, value in ATTRIBUTE.findall(found))])


def _deciding(name: str, value: str) -> str:
    if name == "class":
        return " ".join(sorted(one for one in value.split() if not NAME.fullmatch(one) or one in _styled()))
    if DECIDE.fullmatch(name):
        # Numbers of rows.
        return re.sub(r"\d+", "", value)
    return "something" if value else ""


@cache
def _styled() -> set[str]:
    """The classes that a style sheet asks for."""
    sheets = (Path(str(finders.find(sheet))).read_text() for sheet in STYLES)
    return {name for sheet in sheets for name in re.findall(r"\.([a-z][\w-]*)", sheet)}


class _Links(HTMLParser):
    def __init__(self, page: str, address: str) -> None:
        super().__init__()
        self.address, self.found = address, dict[str, None]()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        for href in (given.get("href") if tag == "a" else None, given.get("hx-get")):
            target = urldefrag(urljoin(self.address, href)).url if href else ""
            if target.startswith("/") and not target.startswith(NOT_ASKED):
                self.found[target] = None


def links(page: str, address: str) -> list[str]:
    """Where this page leads within the house, with `OF_A_KIND` links for each kind."""
    kinds: dict[object, list[str]] = defaultdict(list)
    for link in _Links(page, address).found:
        kinds[_kind(link)].append(link)
    return [link for alike in kinds.values() for link in alike[:OF_A_KIND]]


def _kind(link: str) -> object:
    """Links of one kind lead to one entry of the table of addresses, with the same choices of filters."""
    there = urlsplit(link)
    try:
        entry = resolve(there.path).view_name
    except Resolver404:
        return link
    # Searches are for something of a row; the choices of a filter are few, and each is a question of its own.
    choices = ((name, "" if name == "q" else value) for name, value in parse_qsl(there.query))
    return entry, tuple(sorted(choices))
