"""Two settings side by side, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

import lsr.index.collection.retrievers
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.service.page.compare_view import movement
from tests.support import browser as real
from tests.support.browser import CONTRAST, NAMELESS, SIDEWAYS, Open, served
from tests.support.hybrid_corpus import DOCUMENTS, Topics

pytestmark = pytest.mark.browser
browser, open_page = real.browser, real.open_page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of one collection with dense vectors."""
    path = tmp_path_factory.mktemp("compare") / "shore"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder(), dense=Topics())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            lsr.index.collection.retrievers, "open_dense_encoder", lambda *_, **__: Topics()
        )
        with served({"shore": path}) as url:
            yield url


@pytest.mark.parametrize("has_script", [True, False])
def test_both_sides_are_those_of_the_api(open_page: Open, address: str, has_script: bool) -> None:
    page = open_page("/c/shore/compare?q=heron+river", java_script_enabled=has_script)
    expect(page.locator(".said")).to_contain_text("the same settings")
    right = page.locator(".plan").nth(1)
    right.get_by_label("Words", exact=True).check()
    page.get_by_role("button", name="Compare").click()
    expect(page).to_have_url(f"{address}/c/shore/compare?q=heron+river&b.mode=sparse")

    def asked(**body: object) -> list[str]:
        url = f"{address}/v1/collections/shore/search"
        answer: Any = page.request.post(url, data={"text": "heron river", "limit": 30, **body})
        return [hit["doc_id"] for hit in answer.json()["hits"]]

    left_ids, right_ids = asked(), asked(mode="sparse")
    for place, ids in enumerate((left_ids, right_ids)):
        shown = page.locator(".compared").nth(place).locator("> li")
        assert [each.get_attribute("data-id") for each in shown.all()] == ids[:10]
    moves = set()
    for rank, row in enumerate(page.locator(".compared").nth(1).locator("> li").all(), start=1):
        doc_id = right_ids[rank - 1]
        before = left_ids.index(doc_id) + 1 if doc_id in left_ids else None
        told = movement(rank, before, 30)
        moves.add(told and told.kind)
        expect(row).to_contain_text(told.told if told else "same place")
    assert len(moves) > 1
    page.locator(".compared h3 a").first.click()
    expect(page.locator(".document")).to_be_visible()


def test_movement() -> None:
    found = [movement(rank, before, 30) for rank, before in ((2, 5), (5, 2), (1, None))]
    assert [each and (each.kind, each.sign) for each in found] == [
        ("up", "▲3"),
        ("down", "▼3"),
        ("new", "new"),
    ]
    assert movement(4, 4, 30) is None


def test_errors_of_one_side_and_filters(open_page: Open, address: str) -> None:
    page = open_page("/c/shore")
    for query, status, part in (
        ("?q=heron&a.fusion=none", 422, "Left: this search cannot be done"),
        ("?q=heron&b.weight=%3Cb%3E", 422, "Right: this search cannot be done"),
        ("?q=heron&f.%3Ci%3E=x", 422, "<i>"),
        ("?q=heron&page=0", 422, "The page is '0'"),
        ("", 200, "Two settings side by side"),
        ("?q=xyzzy&b.mode=sparse", 200, "Nothing found"),
    ):
        answer = page.goto(f"{address}/c/shore/compare{query}")
        assert answer is not None
        assert answer.status == status, query
        expect(page.locator("main")).to_contain_text(part)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_them_below_each_other(open_page: Open, address: str, scheme: str) -> None:
    path = "/c/shore/compare?q=heron+river&b.mode=sparse&a.prf=both"
    page = open_page(path, viewport={"width": 360, "height": 640}, color_scheme=scheme)
    assert page.evaluate(SIDEWAYS) <= 0
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []
