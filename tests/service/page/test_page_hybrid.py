"""The search page of a collection with dense vectors, in a real browser."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

import lsr.index.collection.retrievers
from lsr.encoders.bm25 import Bm25Encoder
from lsr.index.collection.build import build_collection
from tests.support import browser as real
from tests.support.browser import CONTRAST, NAMELESS, SIDEWAYS, Open, served
from tests.support.hybrid_corpus import DOCUMENTS, Topics

pytestmark = pytest.mark.browser
browser, open_page = real.browser, real.open_page


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of two collections with the same documents; `plain` has no dense vectors."""
    folder = tmp_path_factory.mktemp("hybrid")
    build_collection(DOCUMENTS, folder / "shore", sparse=Bm25Encoder(), dense=Topics())
    build_collection(DOCUMENTS, folder / "plain", sparse=Bm25Encoder())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            lsr.index.collection.retrievers, "open_dense_encoder", lambda *_, **__: Topics()
        )
        with served({name: folder / name for name in ("shore", "plain")}) as url:
            yield url


HERON = "/c/shore?q=heron+river"


def _ids(page: Page) -> list[str]:
    expect(page.locator("#results")).to_have_attribute("aria-busy", "false")
    return page.locator(".hit .id").all_text_contents()


def _api(page: Page, address: str, **body: object) -> Any:
    url = f"{address}/v1/collections/shore/search"
    answer = page.request.post(url, data={"text": "heron river", **body})
    assert answer.ok, answer.text()
    return answer.json()


def _api_ids(page: Page, address: str, **body: object) -> list[str]:
    return [hit["doc_id"] for hit in _api(page, address, **body)["hits"]]


def _choose(page: Page, mode: str) -> None:
    page.locator(".modes").get_by_text(mode).click()


def _at(query: str) -> re.Pattern[str]:
    return re.compile(re.escape(f"/c/shore?q=heron+river{query}") + "$")


def test_controls_change_the_hits_and_the_address(open_page: Open, address: str) -> None:
    page = open_page(HERON)
    by_default = _ids(page)
    assert by_default == _api_ids(page, address)
    _choose(page, "Words sparse")
    expect(page).to_have_url(_at("&mode=sparse"))
    assert _ids(page) == _api_ids(page, address, mode="sparse") != by_default
    _choose(page, "Both hybrid")
    expect(page).to_have_url(_at(""))
    slider = page.get_by_label("Balance of words and meaning")
    expect(slider).to_have_value("0.3")
    slider.fill("0.8")
    expect(page).to_have_url(_at("&weight=0.8"))
    expect(page.locator("output")).to_have_text("80 : 20")
    expect(slider).to_have_attribute("aria-valuetext", "80 % words, 20 % meaning")
    assert _ids(page) == _api_ids(page, address, fusion={"weight_sparse": 0.8}) != by_default
    slider.fill("0.3")
    expect(page).to_have_url(_at(""))
    page.get_by_text("Tune this search").click()
    page.get_by_label("Their ranks").check()
    expect(page).to_have_url(_at("&fusion=rrf"))
    expect(page.locator("output")).to_have_text("50 : 50")  # a weight belongs to its method
    assert _ids(page) == _api_ids(page, address, fusion={"method": "rrf"})
    page.get_by_label("Their scores").check()
    expect(page.locator("output")).to_have_text("30 : 70")
    page.get_by_label("Learn from both, then answer by both").check()
    page.get_by_label("Learn from at most").fill("5")
    page.get_by_label("Yes, search for their words").check()
    expect(page).to_have_url(_at("&prf=both&depth=5&expand=yes"))
    prf = {"interpolate": "both", "depth": 5, "sparse": {"enabled": True}}
    fed = _ids(page)
    assert fed == _api_ids(page, address, prf=prf) != by_default
    page.reload()
    assert _ids(page) == fed
    page.locator(".hit h2 a").first.click()
    page.get_by_role("link", name="Back to").click()
    expect(page).to_have_url(_at("&prf=both&depth=5&expand=yes"))
    page.locator(".learned a").first.click()
    expect(page.locator(".document")).to_be_visible()
    page.go_back()
    assert _ids(page) == fed
    expect(page.locator("details.tune")).to_have_attribute("open", "")
    expect(page.get_by_label("Learn from both, then answer by both")).to_be_checked()
    expect(page.get_by_label("Learn from at most")).to_have_value("5")
    page.get_by_role("link", name="Back to the defaults").click()
    expect(page).to_have_url(_at(""))
    assert _ids(page) == by_default
    expect(page.locator("details.tune")).not_to_have_attribute("open", "")


def test_the_ends_of_the_slider_are_the_single_modes(open_page: Open, address: str) -> None:
    page = open_page(HERON)
    slider = page.get_by_label("Balance of words and meaning")
    for end, mode in (("0", "dense"), ("1", "sparse")):
        slider.fill(end)
        expect(page).to_have_url(_at(f"&weight={end}"))
        assert _ids(page) == _api_ids(page, address, mode=mode)


def test_the_parts_of_scores_add_up(open_page: Open, address: str) -> None:
    page = open_page(HERON)
    for tuned in (
        "",
        "&fusion=rrf",
        "&weight=0.65",
        "&prf=both&expand=yes",
        "&prf=pre",
        "&weight=1",
    ):
        page.goto(address + HERON + tuned)
        hits = page.locator(".hit").all()
        assert len(hits) == 10
        for hit in hits:
            score = float(hit.locator(".sum").inner_text())
            parts = [float(part) for part in hit.locator(".side .part").all_inner_texts()]
            assert parts
            assert sum(parts) == pytest.approx(score, abs=1.1e-3)
            name = hit.get_by_role("img").get_attribute("aria-label")
            assert name is not None
            assert [float(number) for number in re.findall(r"\d\.\d+", name)] == [score, *parts]
            bars = hit.locator(".bar rect:not(.rail)").all()
            widths = [float((bar.get_attribute("width") or "").rstrip("%")) for bar in bars]
            assert len(widths) == len(parts)
            assert widths[0] / sum(widths) == pytest.approx(parts[0] / sum(parts), abs=0.02)
            assert sum(widths) <= 100.2


def test_ranks_and_words_are_those_of_the_explanation(open_page: Open, address: str) -> None:
    page = open_page(HERON + "&prf=both&expand=yes&depth=4")
    prf = {"interpolate": "both", "depth": 4, "sparse": {"enabled": True}}
    answer = _api(page, address, prf=prf, explain="full")
    assert answer["prf"]["applied"]
    learned = [each["doc_id"] for each in answer["prf"]["feedback"]]
    links = page.locator(".learned a").all()
    assert [link.get_attribute("href") or "" for link in links] == [
        f"/c/shore/documents/{doc_id}?q=heron+river&prf=both&depth=4&expand=yes"
        for doc_id in learned
    ]
    moved = 0
    for rank, (hit, told) in enumerate(
        zip(page.locator(".hit").all(), answer["hits"], strict=True), start=1
    ):
        explained = told["explanation"]
        places = hit.locator(".side .place").all_inner_texts()
        for place, side in zip(places, ("sparse", "dense"), strict=True):
            number = explained[side]["rank"]
            assert place == (f"rank {number}" if number else "no word in common")
        steps = explained["rank_before_prf"] - rank
        sign = hit.locator(".moved [aria-hidden]")
        assert sign.all_inner_texts() == ([f"{'▲▼'[steps < 0]}{abs(steps)}"] if steps else [])
        if steps:
            way = "Up" if steps > 0 else "Down"
            spoken = f"{way} {abs(steps)} by feedback, from rank {rank + steps}"
            expect(hit.locator(".moved .unseen")).to_have_text(f"{spoken}. ")
            moved += 1
        for term, part in zip(hit.locator(".term").all(), explained["terms"], strict=True):
            assert term.inner_text() == f"{part['term']} {part['value']:.3f}"
            assert part["origin"] in (term.get_attribute("class") or "").split()
            assert f"{part['value']:.3f} of " in (term.get_attribute("title") or "")
        added = {part["term"] for part in explained["terms"] if part["origin"] == "feedback"}
        marked = {mark.lower() for mark in hit.locator("mark.added").all_inner_texts()}
        assert marked == added
        own = {mark.lower() for mark in hit.locator("mark:not(.added)").all_inner_texts()}
        assert own <= {"heron", "river"}
    assert moved >= 2
    assert page.locator(".term.feedback").count() > 3
    plain, dotted = page.locator("mark:not(.added)").first, page.locator("mark.added").first
    style = "(mark) => { const s = getComputedStyle(mark); return s.backgroundColor + s.border; }"
    assert plain.evaluate(style) != dotted.evaluate(style)


def test_words_alone_can_learn_and_find_what_is_new(open_page: Open, address: str) -> None:
    page = open_page(HERON)
    _choose(page, "Words sparse")
    page.get_by_text("Tune this search").click()
    page.get_by_label("Yes, search for their words").check()
    expect(page).to_have_url(_at("&mode=sparse&expand=yes"))
    answer = _api(page, address, mode="sparse", prf={"sparse": {"enabled": True}}, explain="full")
    total = answer["total"]
    unfed = _api(page, address, mode="sparse")["total"]
    assert total > unfed
    page.goto(f"{address}{HERON}&mode=sparse&expand=yes&page={-(-total // 10)}")
    last = page.locator(".hit").last
    expect(last.locator(".moved")).to_have_text(re.compile("^newNew through feedback"))
    expect(last.locator("mark.added").first).to_be_visible()


def test_what_was_not_learned_is_told(open_page: Open, address: str) -> None:
    page = open_page(HERON + "&prf=both&depth=0")
    expect(page.locator(".notes")).to_have_text(
        "Nothing was learned: feedback may look at 0 documents."
    )
    page.goto(address + "/c/shore?q=zebra&prf=post")
    expect(page.locator(".notes")).to_contain_text("meaning alone decides")
    expect(page.locator(".learned li")).to_have_count(3)
    page.goto(address + HERON)
    expect(page.locator(".learned, .notes, .moved")).to_have_count(0)


def test_controls_that_mean_nothing_are_not_there(open_page: Open) -> None:
    page = open_page(HERON)
    page.get_by_text("Tune this search").click()
    slider = page.get_by_label("Balance of words and meaning")
    ranks, depth = page.get_by_label("Their ranks"), page.get_by_label("Learn from at most")
    expand = page.get_by_label("Yes, search for their words")
    expect(depth).to_be_hidden()
    page.get_by_label("Learn from meaning, then answer by both").check()
    for control in (slider, ranks, depth, expand):
        expect(control).to_be_visible()
    page.get_by_label("Learn from meaning, then answer by meaning").check()
    expect(depth).to_be_visible()
    for control in (slider, ranks, expand):
        expect(control).to_be_hidden()
    page.get_by_label("Learn from both, then answer by both").check()
    _choose(page, "Meaning dense")
    expect(page).to_have_url(_at("&mode=dense"))
    for control in (slider, ranks, depth, expand, page.get_by_text("answer by both")):
        expect(control.first).to_be_hidden()
    expect(page.get_by_role("radio", name="No none")).to_be_checked()
    _choose(page, "Words sparse")
    expect(expand).to_be_visible()
    expect(page.get_by_text("Learn from meaning, then answer by meaning")).to_be_hidden()


def test_modes_do_not_move_the_page(open_page: Open) -> None:
    page = open_page(HERON, viewport={"width": 900, "height": 700})
    tops = []
    for mode in ("Words sparse", "Meaning dense", "Both hybrid"):
        _choose(page, mode)
        _ids(page)
        tops.append(page.evaluate("document.querySelector('.took').getBoundingClientRect().top"))
    assert len(set(tops)) == 1


def test_wrong_values_in_the_address(open_page: Open, address: str) -> None:
    page = open_page(HERON)
    for tuned, part in [
        ("&weight=2", "fusion.weight_sparse is 2.0; it must be a number from 0.0 to 1.0"),
        ("&weight=much", "fusion.weight_sparse is 'much'"),
        ("&mode=both", "Mode is 'both'; choose hybrid, sparse, dense"),
        ("&fusion=sum", "fusion.method is 'sum'; choose convex, rrf"),
        ("&prf=always", "prf.interpolate is 'always'"),
        ("&depth=21", "prf.depth is 21; it must be a whole number from 0 to 20"),
        ("&depth=" + "9" * 5000, "prf.depth is"),
        ("&expand=perhaps", "prf.sparse.enabled is 'perhaps'"),
    ]:
        answer = page.goto(address + HERON + tuned)
        assert answer is not None
        assert answer.status == 422
        expect(page.locator(".message.error")).to_contain_text(part)
    page.goto(address + HERON + "&prf=both")
    page.get_by_label("Learn from at most").fill("99")
    expect(page.locator(".message.error")).to_contain_text("prf.depth is 99")
    expect(page).to_have_url(re.compile("depth=99"))
    page.get_by_label("Learn from at most").fill("2")
    expect(page.locator(".learned li")).to_have_count(2)


def test_without_javascript(open_page: Open, address: str) -> None:
    page = open_page("/c/shore", java_script_enabled=False)
    page.get_by_label("Query").fill("heron river")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(_at(""))
    page.get_by_text("Tune this search").click()
    page.get_by_label("Learn from both, then answer by meaning").check()
    page.get_by_label("Balance of words and meaning").fill("0.5")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(_at("&weight=0.5&prf=pre"))
    expect(page.locator("details.tune")).to_have_attribute("open", "")
    plan = {"prf": {"interpolate": "pre"}, "fusion": {"weight_sparse": 0.5}}
    assert _ids(page) == _api_ids(page, address, **plan)
    _choose(page, "Words sparse")
    page.get_by_role("button", name="Search").click()
    expect(page).to_have_url(_at("&mode=sparse"))
    expect(page.get_by_role("button", name="Copy as curl")).to_be_hidden()
    page.get_by_text("Show as curl").click()
    expect(page.get_by_label("Command")).to_contain_text('"mode": "sparse"')


def test_copy_as_curl(open_page: Open, address: str) -> None:
    page = open_page("/c/shore", permissions=["clipboard-read", "clipboard-write"])
    for asked in (
        "/c/shore?q=it's+a+%22heron%22+%24HOME&weight=0.5&f.year=2001",
        HERON + "&prf=both&expand=yes&depth=2&page=2",
        HERON + "&mode=dense",
        "/c/plain?q=heron",
    ):
        page.goto(address + asked)
        page.get_by_role("button", name="Copy as curl").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        command = page.evaluate("navigator.clipboard.readText()")
        script = "curl() { printf '%s\\0' \"$@\"; }\n" + command
        told = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        silent, url, header, kind, data, body, _ = told.stdout.split("\0")
        assert (silent, header, data) == ("-s", "-H", "-d")
        assert url.startswith(f"{address}/v1/collections/")
        name, _, value = kind.partition(": ")
        answer = page.request.post(url, data=body, headers={name: value})
        assert answer.ok, answer.text()
        hits = answer.json()["hits"]
        assert [hit["doc_id"] for hit in hits] == _ids(page) != []


def test_without_a_clipboard_the_command_is_shown(open_page: Open, address: str) -> None:
    page = open_page()
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    page.goto(address + HERON)
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.get_by_label("Command")).to_be_focused()
    assert page.evaluate("getSelection().toString()").startswith("curl -s http://127.0.0.1")


def test_keys_move_the_controls(open_page: Open) -> None:
    page = open_page(HERON)
    keys = page.keyboard
    page.get_by_role("button", name="Search").focus()
    keys.press("Tab")
    expect(page.get_by_role("radio", name="Both hybrid")).to_be_focused()
    keys.press("ArrowRight")
    expect(page).to_have_url(_at("&mode=sparse"))
    keys.press("ArrowLeft")
    expect(page).to_have_url(_at(""))
    keys.press("Tab")
    expect(page.get_by_label("Balance of words and meaning")).to_be_focused()
    keys.press("ArrowRight")  # toward meaning
    expect(page).to_have_url(_at("&weight=0.25"))
    keys.press("Tab")
    keys.press("Enter")
    keys.press("Tab")
    expect(page.get_by_role("radio", name="No none")).to_be_focused()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it(open_page: Open, address: str, scheme: str) -> None:
    page = open_page("/", viewport={"width": 360, "height": 640}, color_scheme=scheme)
    for path in (HERON + "&prf=both&expand=yes", HERON + "&mode=dense", "/c/shore?q=zebra"):
        page.goto(address + path)
        assert page.evaluate(SIDEWAYS) <= 0, path
        assert page.evaluate(CONTRAST) == []
        assert page.evaluate(NAMELESS) == []


def test_a_collection_without_vectors_stays_simple(open_page: Open) -> None:
    page = open_page("/c/plain?q=heron")
    expect(page.locator(".hit")).to_have_count(10)
    expect(page.locator("form.ask input:not([type=hidden])")).to_have_count(1)
    expect(page.locator(".tune, .modes, .balance, .sides, .learned")).to_have_count(0)
    expect(page.locator(".hit .bar .fill")).to_have_count(10)
