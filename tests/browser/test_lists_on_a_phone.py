"""On a phone a row of a list is a card: each value whole, below or beside the name of its own column."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.urls import reverse

from tests.browser import looking
from tests.browser.conftest import Office
from tests.e2e.browser import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium, pytest.mark.timeout(600)]
CUT_OFF = """() => [...document.querySelectorAll("#result_list tbody :is(td, th)")]
    .filter((cell) => cell.scrollHeight > cell.clientHeight + 1 || cell.scrollWidth > cell.clientWidth + 1)
    .map((cell) => `${cell.dataset.label} is cut off: ${cell.innerText.slice(0, 60)}`)"""
WRONG_NAME = """() => [...document.querySelectorAll("#result_list tbody td[data-label='Select record']")]
    .filter((cell) => !cell.querySelector("input") && getComputedStyle(cell, "::before").content !== "none")
    .map((cell) => `is no checkbox: ${cell.innerText.slice(0, 60)}`)"""


def test_values_of_lists_are_whole_on_a_phone_and_named_after_their_columns(office: Office) -> None:
    wrong, cells = {}, 0
    with looking.opened(office.url, office.client("superuser")) as eyes:
        eyes.page.set_viewport_size({"width": looking.PHONE[0], "height": looking.PHONE[1]})
        for model in admin.site._registry:
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
            eyes.page.goto(address)
            cells += eyes.page.locator("#result_list tbody td").count()
            if found := eyes.page.evaluate(CUT_OFF) + eyes.page.evaluate(WRONG_NAME):
                wrong[address] = found[:3]
    assert cells, "no list has a row"
    assert wrong == {}
