"""The search page in a real browser: with and without JavaScript, and with nothing from outside."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.types import Document
from tests.support import browser as real
from tests.support.browser import CONTRAST, NAMELESS, SIDEWAYS, Open, served

pytestmark = pytest.mark.browser
browser, open_page = real.browser, real.open_page

ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)>"
DOCUMENTS = [
    Document(
        f"birds/{number}?",
        f"Heron number {number} stands in the river. " * 20,
        f"Heron {number} of the quiet river",
        {"year": 2000 + number, "tags": ["bird", "w" * 39]},
    )
    for number in range(14)
] + [
    Document(
        "<b>evil</b>",
        f"An otter {ATTACK} {'x' * 400}",
        f"Otter {ATTACK}",
        {"<i>": ATTACK[:9], "note": "y" * 400},
    ),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of one collection, in a thread."""
    path = tmp_path_factory.mktemp("page") / "birds"
    build_collection(DOCUMENTS, path, sparse=Bm25Encoder())
    with served({"birds": path}) as url:
        yield url


def _type(page: Page, text: str) -> None:
    page.get_by_label("Query").press_sequentially(text)


def test_typing_finds(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_label("Query")).to_be_focused()
    expect(page.locator(".count")).to_have_text("15 documents in birds")
    _type(page, "heron 7")
    first = page.locator(".hit").first
    expect(first.get_by_role("heading")).to_have_text("Heron 7 of the quiet river")
    expect(first.locator("mark").first).to_have_text("Heron")
    expect(page.locator(".took")).to_contain_text("1–10 of 14 matches")
    expect(page).to_have_url(re.compile(r"/c/birds\?q=heron\+7$"))
    expect(page).to_have_title("heron 7 · birds")
    assert page.locator(".hit").count() == 10
    page.reload()
    expect(first.get_by_role("heading")).to_have_text("Heron 7 of the quiet river")


def test_what_is_typed_before_scripts_run_is_searched(open_page: Open, address: str) -> None:
    page = open_page("/")
    waiting: list[Route] = []
    page.route("**/page.js", lambda route: waiting.append(route))
    page.goto(address + "/c/birds", wait_until="commit")
    page.get_by_label("Query").fill("heron")
    assert page.locator(".hit").count() == 0
    waiting[0].continue_()
    expect(page.locator(".hit").first).to_be_visible()


def test_examples_filters_pages_and_documents(open_page: Open) -> None:
    page = open_page()
    expect(page.locator(".examples a")).to_have_count(3)
    page.locator(".examples a").first.click()
    expect(page.locator(".hit").first).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".took")).to_contain_text("11–14 of")
    page.get_by_role("link", name="Previous").click()
    page.locator(".hit").nth(1).get_by_role("link", name="year").click()
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator(".filters a")).to_contain_text("year")
    page.locator(".hit h2 a").click()
    expect(page.locator(".document .text mark").first).to_be_visible()
    expect(page.locator(".facts")).to_contain_text("birds/")
    page.get_by_role("link", name="Back to").click()
    expect(page.locator(".hit")).to_have_count(1)
    page.locator(".filters a").click()
    expect(page.locator(".hit")).to_have_count(10)


def test_markup_is_shown_as_text(open_page: Open) -> None:
    page = open_page()
    _type(page, ATTACK)
    expect(page).to_have_title(f"{ATTACK} · birds")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("Query").fill("otter")
    expect(page.locator(".hit")).to_have_count(1)
    expect(page.locator(".hit h2")).to_have_text(f"Otter {ATTACK}")
    expect(page.locator(".hit")).to_contain_text("<b>evil</b>")
    expect(page.locator(".hit img")).to_have_count(0)
    page.locator(".hit h2 a").click()
    expect(page.locator("h1")).to_have_text(f"Otter {ATTACK}")
    expect(page.locator(".facts")).to_contain_text("<i>")
    page.goto(page.url.split("/c/")[0] + "/?q=%3Cscript%3Ealert(1)%3C/script%3E&f.%3Cb%3E=%3Cb%3E")
    expect(page.locator(".message")).to_contain_text("'<b>'")


def test_without_javascript(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_label("Query").fill("heron 7")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".hit h2").first).to_have_text("Heron 7 of the quiet river")
    page.get_by_role("link", name="Next").click()
    expect(page.locator(".hit")).to_have_count(4)
    page.get_by_label("Query").fill("")
    page.get_by_role("button", name="Search").click()
    expect(page.locator(".count")).to_be_visible()


def test_errors_are_on_the_page_and_in_the_status(open_page: Open, address: str) -> None:
    page = open_page()
    for path, status, part in [
        ("/?q=heron&f.colour=red", 422, "No document has a metadata field 'colour'"),
        ("/?q=heron&mode=dense", 422, "this collection has no dense vectors"),
        ("/?q=heron&page=0", 422, "The page is '0'"),
        ("/?q=heron&page=2000", 422, "can reach 10,000"),
        ("/?q=" + "x" * 3000, 422, "write at most 2,048"),
        ("/c/fish", 404, "There is no collection 'fish'"),
        ("/c/birds/documents/none", 404, "There is no document 'none'"),
        ("/?q=zebra", 200, "Nothing found"),
        ("/?q=heron&page=1000", 200, "There are no more hits"),
        ("/?q=+", 200, "Try one of these"),
    ]:
        answer = page.goto(address + path)
        assert answer is not None
        assert answer.status == status
        expect(page.locator("main")).to_contain_text(part)


def test_keyboard_only(open_page: Open) -> None:
    page = open_page()
    keys, focused = page.keyboard, page.locator(":focus")
    expect(page.get_by_label("Query")).to_be_focused()
    keys.type("heron")
    expect(page.locator(".hit")).to_have_count(10)
    keys.press("ArrowDown")
    keys.press("ArrowDown")
    first = page.locator(".hit h2 a").nth(1)
    expect(first).to_be_focused()
    keys.press("ArrowUp")
    keys.press("ArrowUp")
    expect(page.get_by_label("Query")).to_be_focused()
    keys.press("ArrowDown")
    keys.press("/")
    expect(page.get_by_label("Query")).to_be_focused()
    keys.type("otter")  # the old query was selected
    expect(page.locator(".hit")).to_have_count(1)
    keys.press("ArrowDown")
    expect(focused).to_contain_text("Otter")
    keys.press("Enter")
    expect(page.locator(".document h1")).to_be_visible()
    keys.press("Tab")
    expect(focused).to_have_text("Skip to content")


def test_a_server_that_is_gone_is_told(open_page: Open) -> None:
    page = open_page()
    page.context.set_offline(True)
    _type(page, "heron")
    expect(page.locator(".message")).to_have_text(
        "The service does not answer. Try again in a moment."
    )
    page.context.set_offline(False)
    _type(page, " river")
    expect(page.locator(".hit").first).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_scrolls_one_way(open_page: Open, address: str, scheme: str) -> None:
    page = open_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
    for path in ("/", "/?q=heron", "/?q=otter", "/c/birds/documents/%3Cb%3Eevil%3C%2Fb%3E", "/c/x"):
        page.goto(address + path)
        assert page.evaluate(SIDEWAYS) <= 0, path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(open_page: Open, scheme: str) -> None:
    """Contrast as WCAG 2 counts it: 4.5 to 1 or more for every piece of text."""
    page = open_page("/?q=heron&f.tags=bird", color_scheme=scheme)
    assert page.evaluate(CONTRAST) == []
    assert page.evaluate(NAMELESS) == []


def test_docs_without_a_network(open_page: Open) -> None:
    page = open_page("/docs")
    expect(page.get_by_text("/v1/collections/{collection}/search")).to_be_visible()
    page.get_by_text("/v1/collections/{collection}/search").click()
    expect(page.get_by_text("how do herons fish").first).to_be_visible()


def test_several_collections(open_page: Open, tmp_path: Path) -> None:
    for name in ("birds", "fish-2"):
        build_collection(DOCUMENTS[:3], tmp_path / name, sparse=Bm25Encoder())
    with served({name: tmp_path / name for name in ("birds", "fish-2")}) as url:
        page = open_page(url=url)
        page.locator(".cards").get_by_role("link", name="fish-2").click()
        expect(page.locator("nav [aria-current]")).to_have_text("fish-2")
        _type(page, "heron")
        expect(page.locator(".hit")).to_have_count(3)
        page.context.close()


def test_words_are_dropped_and_counted_double_by_links(open_page: Open) -> None:
    page = open_page("/?q=heron+otter", java_script_enabled=False)
    expect(page.locator(".took")).to_have_text("1–10 of 15 matches")
    names = page.locator(".asked .word.query .name")
    expect(names).to_have_count(2)
    page.get_by_role("link", name="Leave heron out").click()
    expect(page).to_have_url(re.compile(r"\?q=heron\+otter&t\.heron=0$"))
    expect(page.locator(".took")).to_have_text("1 match")
    expect(page.locator(".asked .word.out")).to_contain_text("heron")
    page.get_by_text("Show as curl").click()
    expect(page.get_by_label("Command")).to_contain_text('"vectors": {"sparse": {"otter"')
    page.get_by_role("link", name="heron as it was").click()
    page.get_by_role("link", name="Count heron double").click()
    expect(page).to_have_url(re.compile(r"&t\.heron=2$"))
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.locator(".hit .term").nth(1)).to_contain_text("heron")


def test_mistyped_words(open_page: Open) -> None:
    page = open_page("/?q=herno")
    page.locator(".meant a").click()
    expect(page.locator(".took")).to_have_text("1–10 of 14 matches")


def test_values_ranges_and_orders_by_a_plain_form(open_page: Open) -> None:
    page = open_page("/?q=heron", java_script_enabled=False)
    page.get_by_text("Filter and sort").click()
    page.get_by_label("from").fill("2003")
    page.get_by_label("Sort by").select_option("year:desc")
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile(r"\?q=heron&from\.year=2003&sort=year%3Adesc$"))
    expect(page.locator(".took")).to_have_text("1–10 of 11 matches")
    expect(page.locator(".hit .id").first).to_have_text("birds/13?")
    page.get_by_label("bird 11").check()
    page.get_by_label("to", exact=True).fill("2004")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".hit")).to_have_count(2)
    page.locator(".filters a").filter(has_text="year").click()
    expect(page.locator(".took")).to_have_text("1–10 of 14 matches")
    page.goto(page.url.split("?")[0] + "?q=heron&f.year=2001&f.year=2002")
    expect(page.locator(".hit")).to_have_count(2)
    expect(page.locator(".filters a")).to_have_count(2)
    expect(page.get_by_label("2001 1")).to_be_checked()
    expect(page.get_by_label("2003 1")).not_to_be_checked()


SMALL = """() => [...document.querySelectorAll("a, button, input, select, summary")]
  .filter((each) => each.checkVisibility() && each.type !== "hidden" && each.className !== "skip")
  .map((each) => (["radio", "checkbox"].includes(each.type) && each.closest("label")) || each)
  .map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([name, box]) => `${name}: ${box.width} x ${box.height}`)"""


def test_fingers_can_hit_everything(open_page: Open, address: str) -> None:
    page = open_page(viewport={"width": 390, "height": 800}, has_touch=True)
    document = "/c/birds/documents/birds%2F3%3F?q=heron"
    for path in ("/", "/?q=heron&f.tags=bird&page=2", "/?q=herno", "/?q=zebra", document):
        page.goto(address + path)
        for closed in page.locator("details:not([open]) > summary").all():
            if closed.is_visible():
                closed.click()
        assert page.evaluate(SMALL) == [], path
    page.goto(address + "/?q=heron")
    height = page.evaluate("document.querySelector('.summary').getBoundingClientRect().height")
    assert height <= 32
