"""Downloads leave in pieces, and between two pieces nothing is held: no connection, and no reader for ever."""

import ast
import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from orders import streaming
from orders.errors import TooManyDownloads
from orders.models import Command, FeedImport
from orders.paging import pages
from orders.services import exports, feeds, seals
from orders.services.batches import downloading
from orders.services.exports import requesting
from orders.services.feeds import checking, reading
from orders.services.seals import exporting
from orders.vocabulary import BatchAction, CommandKind, ExportFormat
from tests.factories import TEST_ACTOR, make_order
from tests.orders.api_calls import assert_problem, token_client
from tests.orders.attempts_exports import make_written
from tests.orders.feed_files import imported, row
from tests.orders.test_batches import make_batch

ROOT = Path(__file__).resolve().parents[2]
STREAMS = {"StreamingHttpResponse", "FileResponse"}


@pytest.fixture(autouse=True)
def nobody_downloads() -> Iterator[None]:
    gc.collect()
    streaming._under_way.clear()
    yield
    gc.collect()
    streaming._under_way.clear()


def test_only_one_module_answers_with_a_stream() -> None:
    """Another would keep its connection for as long as its reader likes, and be collected whole under ASGI."""
    found = [
        str(path.relative_to(ROOT))
        for package in ("orders", "backoffice", "temporal_app")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.alias) and node.name in STREAMS
    ]
    assert found == ["orders/streaming.py"], "Use orders.streaming.attachment."


def request_of(user: Any, *, asgi: bool = True) -> Any:
    plain = RequestFactory().get("/file")
    request = ASGIRequest({"type": "http", "method": "GET", "path": "/file", "headers": []}, None) if asgi else plain
    request.user = user
    return request


class Reader:
    """Somebody with a key, which is all that a download asks of them."""

    def __init__(self, pk: int) -> None:
        self.pk = pk


def download(pieces: Any, who: int = 1, *, asgi: bool = True) -> Any:
    return streaming.attachment(
        request_of(Reader(who), asgi=asgi), pieces, name="a.bin", content_type="application/octet-stream"
    )


async def read(response: Any) -> bytes:
    return b"".join([piece async for piece in response])


async def test_lines_are_put_together_and_large_pieces_are_taken_apart() -> None:
    lines = [f"line {number}\n" for number in range(60_000)]
    response = download(iter(lines))
    pieces = [piece async for piece in response]
    assert b"".join(pieces) == "".join(lines).encode()
    assert max(len(piece) for piece in pieces) == streaming.SENT_BYTES
    assert len(pieces) < 20
    assert await read(download(iter([b"x" * 1_000_000]))) == b"x" * 1_000_000
    assert await read(download(iter([]))) == b""
    assert b"".join(download(iter(["a", b"b"]), asgi=False)) == b"ab"


@pytest.mark.parametrize("asgi", [True, False])
async def test_csv_says_that_it_is_utf_8(asgi: bool) -> None:
    request = request_of(Reader(1), asgi=asgi)
    response = streaming.attachment(request, ["Größe\r\n"], name="a.csv", content_type=streaming.CSV)
    content = await read(response) if asgi else b"".join(response)
    assert content == b"\xef\xbb\xbfGr\xc3\xb6\xc3\x9fe\r\n"


@pytest.mark.django_db
def test_a_fourth_download_of_one_person_is_refused_until_one_has_ended() -> None:
    under_way = [download([b"x"]) for _ in range(3)]
    with pytest.raises(TooManyDownloads, match="3 downloads under way"):
        download([b"x"])
    assert download([b"x"], who=2)
    under_way[0].close()
    under_way[0].close()
    under_way.append(download([b"x"]))
    with pytest.raises(TooManyDownloads):
        download([b"x"])


def test_a_download_that_nobody_closes_gives_its_place_back_too() -> None:
    for _ in range(9):
        download([b"x"])
        gc.collect()
    assert not streaming._under_way


async def test_a_reader_who_takes_nothing_is_left(settings: Settings) -> None:
    settings.DOWNLOAD_STALL_SECONDS = 0.05
    sent, left = [], asyncio.Event()

    async def send_to_a_stalled_reader(content: AsyncIterator[bytes]) -> None:
        try:
            async for piece in content:
                sent.append(piece)
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            left.set()

    response = download(iter([b"a" * streaming.PIECE_BYTES] * 3))
    await asyncio.wait_for(asyncio.create_task(send_to_a_stalled_reader(aiter(response))), 20)
    assert left.is_set()
    assert len(sent) == 1


async def test_a_reader_who_takes_something_is_not_hurried(settings: Settings) -> None:
    settings.DOWNLOAD_STALL_SECONDS = 0.2
    got = 0
    async for piece in download(iter([b"a" * streaming.PIECE_BYTES] * 2)):
        got += len(piece)
        await asyncio.sleep(0.05)  # eight pieces take longer than one may
    assert got == 2 * streaming.PIECE_BYTES


# --- Every download of the product ------------------------------------------------------------------------------------


def a_batch() -> Iterator[bytes | str]:
    return downloading.items_csv(make_batch(BatchAction.HOLD, *(make_order() for _ in range(5))))


def a_seal() -> Iterator[bytes | str]:
    for _ in range(5):
        make_order()
    seals.seal_history(actor=TEST_ACTOR)
    return seals.export_lines(actor=TEST_ACTOR)


def an_export(format: ExportFormat) -> Iterator[bytes | str]:
    export = make_written(*(make_order() for _ in range(5)), format=format)
    return exports.download(export.pk, actor=TEST_ACTOR).pieces


def an_import() -> FeedImport:
    return imported(*(row(f"61{number:04}", quantity="none" if number % 2 else 1) for number in range(30)))


def by_two(rows: Any, size: int, *, key: str = "pk") -> Iterator[Any]:
    return pages(rows, 2, key=key)


DOWNLOADS: dict[str, Callable[[], Iterator[bytes | str]]] = {
    "batch": a_batch,
    "seal": a_seal,
    "export as CSV": lambda: an_export(ExportFormat.CSV),
    "export as a workbook": lambda: an_export(ExportFormat.XLSX),
    "rejected rows": lambda: feeds.bad_rows_csv(an_import()),
    "invoices": lambda: feeds.invoices_csv(an_import()),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("made", DOWNLOADS.values(), ids=DOWNLOADS)
def test_a_download_keeps_nothing_open_between_its_pieces(
    made: Callable[[], Iterator[bytes | str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection may be taken away after each of them; the file is whole all the same."""
    for module, name, value in (
        (downloading, "pages", by_two),
        (exporting, "pages", by_two),
        (checking, "PAGE", 2),
        (reading, "SLICE_BYTES", 100),
        (requesting, "EXPORT_PART_ORDERS", 2),
    ):
        monkeypatch.setattr(module, name, value)
    pieces, got = made(), []
    for piece in pieces:
        assert not connection.in_atomic_block
        connection.close()
        got.append(piece if isinstance(piece, bytes) else piece.encode())
    text = b"".join(got)
    if not text.startswith(b"PK"):
        assert len(text.splitlines()) >= 6
    assert len(got) >= 2


@pytest.mark.django_db
def test_the_api_and_the_pages_refuse_a_download_too_many_and_write_no_download_down(settings: Settings) -> None:
    settings.DOWNLOADS_AT_ONCE = 0
    user = User.objects.create_superuser("a-superuser")
    export = make_written(make_order())
    batch = make_batch(BatchAction.HOLD, make_order())
    downloads = Command.objects.filter(kind=CommandKind.EXPORT_DOWNLOAD)

    for address in (f"/api/exports/{export.pk}/download/", f"/api/batches/{batch.pk}/items/download/"):
        refusal = token_client(user=user).get(address)
        assert_problem(refusal, 429, None, "downloads under way")
        assert refusal["Retry-After"]
    browser = Client()
    browser.force_login(user)
    page = browser.get(reverse("admin:orders_export_download", args=[export.pk]))
    assert (page.status_code, b"downloads under way" in page.content) == (429, True)
    assert page["Retry-After"]
    assert not downloads.exists()

    settings.DOWNLOADS_AT_ONCE = 1
    assert b"".join(browser.get(reverse("admin:orders_export_download", args=[export.pk])).streaming_content)
    assert downloads.count() == 1
