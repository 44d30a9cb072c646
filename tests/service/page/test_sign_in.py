"""Signing in by a real browser, over plain http and by a name that is not the machine's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support import browser as real
from tests.support.browser import Open
from tests.support.served import serving

pytestmark = pytest.mark.browser
browser, open_page = real.browser, real.open_page

KEY = "an-admin-key-that-is-long-enough"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("signed") / "birds"
    build_collection([Document("a", "A heron stands.")], path, sparse=Bm25Encoder())
    with serving(path, admin_key=KEY, host_names="shore.test") as served:
        yield served.url


@pytest.mark.parametrize("host", ["127.0.0.1", "shore.test"])
def test_in_and_out_again(open_page: Open, address: str, host: str) -> None:
    page = open_page(url=address.replace("127.0.0.1", host))
    page.locator("input[type=password]").fill(KEY)
    page.keyboard.press("Enter")
    page.get_by_label("Query").fill("heron")
    expect(page.locator(".hit")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("input[type=password]")).to_be_visible()
