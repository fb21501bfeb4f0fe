"""How a person's words are found in a text, and what is left alone."""

import pytest

from orders.services.texts.person import Person

ADA = Person(words=("C-12", "Ada Buyer", "ada.buyer@example.com", "1 Mill Lane", "Zoë"))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Ada Buyer called", "erased called"),
        ("ADA BUYER, ada.buyer@EXAMPLE.com", "erased, erased"),
        ("orders_of_Ada Buyer_2026.csv", "orders_of_erased_2026.csv"),
        ("/orders/?q=ada.buyer%40example.com&next=Ada+Buyer", "/orders/?q=erased&next=erased"),
        ("1%20Mill%20Lane", "erased"),
        ("Zoë and Zoëlle", "erased and Zoëlle"),
        ("C-12, C-123, XC-12", "erased, C-123, XC-12"),
        ("Ada Buyers", "Ada Buyers"),
        ("", ""),
    ],
)
def test_whole_words_are_replaced_however_they_are_written(text: str, clean: str) -> None:
    assert ADA.clean(text) == clean


def test_documents_lose_them_in_texts_and_in_names() -> None:
    assert ADA.clean_value({"Ada Buyer": [{"a": "of Ada Buyer"}, 5, None]}) == {"erased": [{"a": "of erased"}, 5, None]}


def test_digits_in_a_document_are_an_amount_unless_their_name_says_whose_they_are() -> None:
    person = Person(words=("17850",))
    document = {"amount": "17850", "customer": "17850", "q": ["17850"], "note": "17850 called"}
    assert person.clean_value(document) == {
        "amount": "17850",
        "customer": "erased",
        "q": ["17850"],
        "note": "erased called",
    }


def test_files_lose_them_in_either_encoding_and_keep_their_lines() -> None:
    content = 'a;"Ada Buyer"\r\nzoë;ZOË;Ada Buyers\n'
    for encoding in ("utf-8", "cp1252"):
        assert ADA.clean_bytes(content.encode(encoding)).decode(encoding) == 'a;"erased"\r\nerased;erased;Ada Buyers\n'


def test_words_too_short_to_mean_anybody_are_not_looked_for() -> None:
    person = Person(words=("1", "Al", " "))
    assert (person.sought, person.clean("1 Al"), person.clean_bytes(b"1 Al")) == ((), "1 Al", b"1 Al")
