"""The collections panel in a real browser: state, uploads, changes, keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from lsr.service.page.collections_view import spoken_bytes, spoken_time
from lsr.service.security.keys import KeyFile
from lsr.service.settings import Settings
from lsr.types import Document
from tests.support import browser as real
from tests.support.browser import CONTRAST, NAMELESS, SIDEWAYS, Open, served

pytestmark = pytest.mark.browser
browser, open_page = real.browser, real.open_page

ATTACK = "<img src=x onerror=alert(2)>"
ABOUT = "/c/birds/about"
SMALL = """() => [...document.querySelectorAll("main a, header a, button, input, summary")]
  .filter((each) => each.checkVisibility() && !each.matches(".skip, [type=radio]"))
  .map((each) => [each.outerHTML.slice(0, 80), each.getBoundingClientRect()])
  .filter(([, box]) => box.width < 24 || box.height < 24)
  .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""


def _birds(path: Path) -> Path:
    documents = [
        Document(f"b{n}", f"A heron stands in river {n}.", f"Heron {n}", {"tenant": "ab"[n % 2]})
        for n in range(6)
    ]
    build_collection(documents, path, sparse=Bm25Encoder())
    return path


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A server of one collection, without keys."""
    with served({"birds": _birds(tmp_path / "birds")}) as url:
        yield url


def _upload(page: Page, name: str, content: str) -> None:
    file = {"name": name, "mimeType": "text/plain", "buffer": content.encode()}
    page.get_by_label("File of JSON lines").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Upload").click()


def _number(page: Page, name: str) -> str:
    return page.locator(f"[data-number={name}]").inner_text()


def test_uploads_show_what_became_of_each_line(open_page: Open, address: str) -> None:
    page = open_page(ABOUT)
    assert _number(page, "documents") == "6"
    good = {"doc_id": f"new/{ATTACK}", "text": f"An otter {ATTACK}"}
    lines = [json.dumps(good), "{broken", json.dumps({"doc_id": "b0", "text": "A heron, again."})]
    _upload(page, "birds.jsonl", "\ufeff" + "\n".join(lines))
    expect(page.locator("#upload-sum")).to_have_text("2 written, 1 failed.")
    rows = page.locator("#lines tbody tr")
    assert [row.split("\t")[0] for row in rows.all_inner_texts()] == ["2", "1", "3"]
    expect(rows.nth(0)).to_contain_text("invalid: ")
    expect(rows.nth(1)).to_contain_text(f"new/{ATTACK}")
    expect(rows.nth(2)).to_contain_text("replaced")
    expect(page.locator("[data-number=documents]")).to_have_text("7")
    expect(page.locator("[data-number=pending]")).to_have_text("0")
    _upload(
        page, "birds.csv", 'id,title,text,year\nc1,"A ""good"" one","otter,\nbrown",2020\n,x,y,\n'
    )
    expect(page.locator("#upload-sum")).to_have_text("1 written, 1 failed.")
    assert rows.nth(0).inner_text().startswith("4\t")
    stored = page.request.get(f"{address}/v1/collections/birds/documents/c1").json()
    assert (stored["title"], stored["text"]) == ('A "good" one', "otter,\nbrown")
    assert stored["metadata"] == {"year": "2020"}
    _upload(page, "birds.json", json.dumps([{"doc_id": "j1", "text": "A stork."}]))
    expect(page.locator("#upload-sum")).to_have_text("1 written, 0 failed.")
    for name, content, told in (
        ("a.csv", "id,text\nx\n", "Line 2 has 1 cells"),
        ("a.csv", "text\nx\n", "must name the columns"),
        ("a.csv", 'id,text\n"x,y\n', "line 2 is not closed"),
        ("a.json", "[1,", "not valid JSON"),
    ):
        _upload(page, name, content)
        expect(page.locator("#upload-sum")).to_contain_text(told)


def test_deleting_snapshots_and_merging(open_page: Open, address: str) -> None:
    page = open_page(ABOUT)
    box = page.get_by_label("Its id")
    for doc_id, told in (("..", 'There is no document "..".'), ("b1", "Deleted: b1")):
        box.fill(doc_id)
        box.press("Enter")
        expect(page.locator("#said")).to_have_text(told)
    expect(page.locator("[data-number=documents]")).to_have_text("5")
    page.get_by_label("Its name").fill("No Name!")
    page.get_by_role("button", name="Create snapshot").click()
    expect(page.locator("#said")).to_contain_text("a-z, 0-9")
    page.get_by_label("Its name").fill("monday")
    page.get_by_role("button", name="Create snapshot").click()
    expect(page.locator("#said")).to_have_text("snapshot: done")
    expect(page.get_by_role("link", name="Download snapshot monday")).to_be_visible()
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("#said")).to_have_text("merge: done")
    expect(page.locator("[data-task][data-status=done]")).to_have_count(2)
    page.context.set_offline(True)
    page.get_by_role("button", name="Merge").click()
    expect(page.locator("#said")).to_contain_text("The service does not answer.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_panel_fits_a_phone(open_page: Open, address: str, scheme: str) -> None:
    page = open_page("/collections", viewport={"width": 360, "height": 640}, color_scheme=scheme)
    for path in ("/collections", ABOUT, "/c/birds/compare?q=heron"):
        page.goto(address + path)
        assert page.evaluate(SIDEWAYS) <= 0, path
        assert page.evaluate(SMALL) == [], path
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate(NAMELESS) == [], path


def test_the_state_without_javascript(open_page: Open, address: str) -> None:
    page = open_page(java_script_enabled=False)
    page.get_by_role("link", name="Collections").click()
    expect(page.locator(".states")).to_contain_text("6 documents")
    page.get_by_role("link", name="State and changes").click()
    assert _number(page, "documents") == "6"
    expect(page.get_by_role("heading", name="Segments")).to_be_visible()
    expect(page.get_by_role("button", name="Upload")).not_to_be_visible()
    expect(page.locator("main")).to_contain_text("script, which does not run here")
    answer = page.goto(f"{address}/c/fish/about")
    assert answer is not None
    assert answer.status == 404


def test_keys(open_page: Open, tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    reader, admin = file.create("r", "read")[1], file.create("a", "admin")[1]
    tenant = file.create("t", "write", filter={"tenant": "a"})[1]
    settings = Settings.model_validate({"keys": file.path})
    with served({"birds": _birds(tmp_path / "birds")}, settings) as url:
        page = open_page(ABOUT, url=url)
        page.get_by_label("Key").fill(reader)
        page.get_by_role("button", name="Sign in").click()
        expect(page.locator("h1")).to_have_text("birds")
        expect(page.get_by_role("heading", name="Snapshots")).to_have_count(0)
        page.get_by_role("button", name="Merge").click()
        expect(page.locator("#said")).to_contain_text("needs a key of scope admin")
        page.get_by_label("Key for changes").fill("lsr_x_y")
        page.get_by_role("button", name="Use key").click()
        expect(page.locator("#said")).to_contain_text("there is no such key")
        page.get_by_label("Key for changes").fill(admin)
        page.get_by_role("button", name="Use key").click()
        expect(page.locator("#said")).to_contain_text("until this tab is closed")
        expect(page.get_by_role("heading", name="Snapshots")).to_be_visible()
        page.get_by_role("button", name="Merge").click()
        expect(page.locator("#said")).to_have_text("merge: done")
        page.reload()
        expect(page.get_by_role("heading", name="Snapshots")).to_be_visible()
        page.get_by_label("Key for changes").fill(tenant)
        page.get_by_role("button", name="Use key").click()
        expect(page.get_by_role("heading", name="Tasks")).to_have_count(0)
        _upload(page, "a.jsonl", '{"doc_id": "x", "text": "y", "metadata": {"tenant": "b"}}')
        expect(page.locator("#upload-sum")).to_have_text("0 written, 1 failed.")
        page.get_by_role("button", name="Forget key").click()
        expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
        expect(page.get_by_role("heading", name="Snapshots")).to_have_count(0)
        page.get_by_role("button", name="Sign out").click()
        expect(page.locator("h1")).to_have_text("Sign in")
        page.goto(url + ABOUT)
        expect(page.locator("h1")).to_have_text("Sign in")
        page.context.close()


def test_sizes_and_times_in_words() -> None:
    sizes = [spoken_bytes(n) for n in (0, 999, 1500, 12_345_678, 5 * 10**15)]
    assert sizes == ["0 bytes", "999 bytes", "1.5 KB", "12.3 MB", "5e+03 TB"]
    assert spoken_time("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04 UTC"
