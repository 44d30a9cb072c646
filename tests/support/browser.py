"""A real browser for tests of the search page, and a server for it to look at.

A test module takes over the fixtures `browser` and `open_page`, and has a fixture `address`.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import uvicorn
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Page,
    Request,
    expect,
    sync_playwright,
)

from lsr.service.app import create_app
from lsr.service.catalog import Catalog
from lsr.service.engine import SearchEngine
from lsr.service.settings import Settings

__all__ = ["CONTRAST", "NAMELESS", "SIDEWAYS", "Open", "browser", "open_page", "served"]

TIMEOUT_MS = 30_000
CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP *.test 127.0.0.1",  # names to which a browser is less trusting
]
expect.set_options(timeout=TIMEOUT_MS)

Open = Callable[..., Page]


@contextmanager
def served(paths: dict[str, Path], settings: Settings | None = None) -> Iterator[str]:
    """A server of collections by name, in a thread; gives its address when it is warm."""
    engine = SearchEngine(Catalog.open(paths))
    config = uvicorn.Config(
        create_app(engine, settings or Settings()), port=0, log_config=None, access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started or engine.catalog.not_ready:
            assert thread.is_alive()
            threading.Event().wait(0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed, and CI must run the browser tests")
        pytest.skip("chromium is not installed; apt-get install chromium runs these tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Open]:
    """Opens pages, and at the end holds that nothing went wrong or left this machine."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def note(request: Request) -> None:
        if urlsplit(request.url).hostname not in ("127.0.0.1", "shore.test", None):
            wrong.append(f"request to {request.url}")

    def dismiss(dialog: Dialog) -> None:
        wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def listen(said: ConsoleMessage) -> None:
        is_status = said.text.startswith("Failed to load resource")  # so it reports a 422
        if "Content Security" in said.text or (said.type == "error" and not is_status):
            wrong.append(said.text)

    def open_page(path: str = "/", *, url: str = address, **options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        contexts.append(context)
        context.set_default_timeout(TIMEOUT_MS)
        context.on("request", note)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(f"script error: {error}"))
        page.on("dialog", dismiss)
        page.on("console", listen)
        page.goto(url + path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


CONTRAST = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => {
      c /= 255;
      return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const paper = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const weak = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(paper(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) weak.push(`${walker.currentNode.data.trim()}: ${ratio.toFixed(2)}`);
  }
  return weak;
}"""
"""Text of a page that stands out less than 4.5 to 1, as WCAG 2 counts it."""

NAMELESS = """() => {
  const wrong = [];
  const seen = new Set();
  for (const element of document.querySelectorAll("[id]")) {
    if (seen.has(element.id)) wrong.push(`id ${element.id} twice`);
    seen.add(element.id);
  }
  const named = (element) =>
    (element.getAttribute("aria-label") || element.textContent || "").trim() ||
    [...(element.labels || [])].some((label) => label.textContent.trim());
  const wanted = "a[href], button, input:not([type=hidden]), select, summary, pre, [role=img]";
  for (const element of document.querySelectorAll(wanted)) {
    if (!named(element)) wrong.push(`no name: ${element.outerHTML.slice(0, 120)}`);
  }
  for (const group of document.querySelectorAll("fieldset")) {
    if (!group.querySelector("legend")?.textContent.trim()) wrong.push("fieldset without legend");
  }
  for (const list of document.querySelectorAll("ul, ol")) {
    for (const child of list.children) {
      if (child.tagName !== "LI") wrong.push(`${child.tagName} in a list`);
    }
  }
  for (const image of document.querySelectorAll("svg:not([role=img])")) {
    if (image.getAttribute("aria-hidden") !== "true") wrong.push("a picture that says nothing");
  }
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    if (Number(heading.tagName[1]) > level + 1) wrong.push(`${heading.outerHTML} skips a level`);
    level = Number(heading.tagName[1]);
  }
  return wrong;
}"""
"""What a page's elements lack for someone who does not see it: names, and order."""

SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
"""By how many pixels a page is wider than its window."""
