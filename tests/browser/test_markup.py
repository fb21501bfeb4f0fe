"""What counts as markup that was not looked at yet, and which links of a page are asked."""

from __future__ import annotations

import pytest

from tests.browser import markup

ROW = '<tr class="field-number"><td><a href="/orders/SO-{0}/" title="Order {0}">SO-{0}</a></td></tr>'


def test_another_row_or_another_name_is_nothing_new() -> None:
    known = markup.parts(ROW.format(1) + ROW.format(2))
    assert markup.parts(ROW.format(3) + ROW.format(4).replace("field-number", "field-customer")) <= known


@pytest.mark.parametrize(
    ("known", "other"),
    [
        ('<label for="a">Name</label><input id="a">', '<b>Name</b><input id="a">'),
        ('<button aria-label="Close"></button>', '<button aria-label=""></button>'),
        ('<button aria-label="Close"></button>', "<button></button>"),
        ("<a>Words</a>", "<a></a>"),
        ('<p class="text-red-600">Words</p>', '<p class="text-red-300">Words</p>'),
        ('<td class="field-other">Words</td>', '<td class="field-says">Words</td>'),
        ('<p tabindex="0">Words</p>', '<p tabindex="-1">Words</p>'),
        (
            "<p>1</p><h1>2</h1><p>3</p><p>4</p><h2>5</h2><p>6</p>",
            "<p>1</p><h2>2</h2><p>3</p><p>4</p><h1>5</h1><p>6</p>",
        ),
    ],
)
def test_what_changes_how_a_page_is_seen_or_worked_is_new(known: str, other: str) -> None:
    frame = "<div>{}</div>"
    assert not markup.parts(frame.format(other)) <= markup.parts(frame.format(known))


def test_a_few_links_of_a_kind_are_asked_and_each_choice_of_a_filter() -> None:
    rows = "".join(ROW.format(number) for number in range(9))
    choices = "".join(f'<a href="?status={status}">{status}</a>' for status in "abcdef")
    searches = "".join(f'<a href="/admin/orders/order/?q={number}">Orders</a>' for number in range(9))
    others = '<a href="https://example.com/">Out</a><a hx-get="part/">Part</a><a href="/admin/logout/">Out</a>'

    found = markup.links(rows + choices + searches + others, "/admin/orders/stafftask/")

    assert found == [
        *(f"/orders/SO-{number}/" for number in range(markup.OF_A_KIND)),
        *(f"/admin/orders/stafftask/?status={status}" for status in "abcdef"),
        *(f"/admin/orders/order/?q={number}" for number in range(markup.OF_A_KIND)),
        "/admin/orders/stafftask/part/",
    ]
