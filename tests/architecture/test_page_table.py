"""Every address of the back office is in the table by which the browser opens them all (`tests/browser`)."""

from tests.browser import addresses


def test_every_address_has_a_subject_for_the_browser_to_look_at() -> None:
    assert addresses.without_subject() == [], "Say in tests/browser/addresses.py what stands for the arguments."
