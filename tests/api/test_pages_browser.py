"""The pages in a real browser: no overflow, no breach of the security policy, digests copied."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from provenance.ids import to_hex
from provenance_api.app import create_app
from tests.support.service import StateFactory, serving
from tests.support.spine import Run

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)
SIZES = ((1280, 800), (390, 844))
EVENTS = (("registry", "HeadCommitted"), ("registry", "Released"), ("ledger", "EpochAnchored"))
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


@pytest.fixture
def kind() -> str:
    """Pages are made of what the routes answer, which is tested on both databases."""
    return "sqlite"


class Browser:
    """One page of a headless Chromium, driven over the DevTools protocol.

    Messages are JSON ended by NUL, on two pipes.
    """

    def __init__(self, profile: Path) -> None:
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        # The browser reads commands from descriptor 3 and writes answers to descriptor 4.
        script = f'exec "$@" 3<&{read_there} 4>&{write_there}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "chromium", str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=(read_there, write_there),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_there)
        os.close(write_there)
        self._in, self._out = os.fdopen(read_here, "rb"), os.fdopen(write_here, "wb")
        self._count, self._buffer = 0, b""
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", {"url": "about:blank"}, None)["targetId"]
        self._session = self.send(
            "Target.attachToTarget", {"targetId": target, "flatten": True}, None
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(
        self, method: str, parameters: dict[str, Any] | None = None, session: str | None = ""
    ) -> dict[str, Any]:
        self._count += 1
        message: dict[str, Any] = {"id": self._count, "method": method, "params": parameters or {}}
        if session is not None:
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        self._out.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self.events.append(answer)

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._in.fileno(), 1 << 16)
            assert chunk, "browser ended"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        value: dict[str, Any] = json.loads(line)
        return value

    def open(self, url: str, width: int, height: int) -> None:
        self.events.clear()
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.send("Emulation.setDeviceMetricsOverride", metrics)
        self.send("Page.navigate", {"url": url})
        deadline = time.monotonic() + 30
        while self.evaluate("document.readyState + location.href") != f"complete{url}":
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def evaluate(self, expression: str) -> Any:
        return self.send("Runtime.evaluate", {"expression": expression, "returnByValue": True})[
            "result"
        ].get("value")

    def complaints(self) -> list[dict[str, Any]]:
        """Console errors, refused resources and uncaught exceptions of the page that is open."""
        logs = [e["params"]["entry"] for e in self.events if e.get("method") == "Log.entryAdded"]
        thrown = [e["params"] for e in self.events if e.get("method") == "Runtime.exceptionThrown"]
        return [e for e in logs if e["level"] == "error" and "404" not in e["text"]] + thrown

    def close(self) -> None:
        self.send("Browser.close", None, None)
        self._process.wait(timeout=30)
        self._in.close()
        self._out.close()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def site(make_state: StateFactory, honest: Run, hostile: Run, revoked: Run) -> Iterator[str]:
    """The service on a port of its own."""
    state = make_state(honest.folder.root, hostile.folder.root, revoked.folder.root)
    with serving(create_app(state)) as url:
        yield url


def paths(*runs: Run) -> list[str]:
    verdicts = [f"/verify/{run.model}" for run in runs]
    explored = [
        f"/runs/0x{run.run_id.hex()}{rest}"
        for run in runs
        for rest in ("", "/records", "/records/0", "/records/9", "/heads", "/proofs")
    ]
    return [
        *explored,
        f"/runs/0x{runs[0].run_id.hex()}/proofs/0/0",
        f"/datasets/{runs[0].data.registered.dataset_id}",
        f"/runs/0x{64 * '0'}",
        *on_chain(runs[0]),
        *("/runs", "/datasets", "/releases", "/search?q=model", "/search?q=nobody"),
        "/",
        *verdicts,
        f"/verify/sha256:{64 * '0'}",
        "/verify/nobody",
        "/verify?id=" + 300 * "a",
    ]


def on_chain(run: Run) -> list[str]:
    """Pages of what the chain says."""
    lookup = run.lab.reader().lookup()
    logs = [lookup.events(name, [event], lookup.newest())[-1] for name, event in EVENTS]
    found = [
        f"/{kind}"
        for log in logs
        for kind in (f"tx/{to_hex(log.tx_hash)}", f"block/{log.block_number}")
    ]
    addresses = [*run.lab.trust.addresses.values(), run.lab.session().address]
    found += [f"/address/{address}" for address in addresses]
    return [*found, "/keys", f"/keys/{run.lab.trust.keys[0].vk_id}", "/revocations"]


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pages_fit_the_screen_and_keep_the_security_policy(
    browser: Browser, site: str, honest: Run, hostile: Run, revoked: Run, width: int, height: int
) -> None:
    for path in paths(honest, hostile, revoked):
        browser.open(site + path, width, height)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, path
        assert browser.complaints() == [], path
        assert browser.evaluate("document.querySelectorAll('h1').length") == 1
        smallest = "Math.min(...[...document.querySelectorAll('p, li, dd, dt, small, code, a')]"
        assert (
            browser.evaluate(f"{smallest}.map(e => parseFloat(getComputedStyle(e).fontSize)))")
            >= 13
        ), path


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_what_was_not_checked_is_above_the_fold(
    browser: Browser, site: str, honest: Run, width: int, height: int
) -> None:
    browser.open(f"{site}/verify/{honest.model}", width, height)
    assert (
        browser.evaluate("document.querySelector('.unchecked').getBoundingClientRect().bottom")
        <= height
    )


def test_one_picture_is_shown_and_digests_have_copy_buttons(
    browser: Browser, site: str, honest: Run
) -> None:
    for width, kind in ((1280, "wide"), (390, "tall")):
        browser.open(f"{site}/verify/{honest.model}", width, 844)
        drawn = "[...document.querySelectorAll('svg.lineage')]"
        shown = f"{drawn}.filter(e => e.getBoundingClientRect().width > 0)"
        assert browser.evaluate(f"{shown}.map(e => e.classList[1]).join()") == f"lineage-{kind}"
        codes = browser.evaluate("document.querySelectorAll('[data-copy]').length")
        assert codes == browser.evaluate("document.querySelectorAll('button.copy').length") > 0


LUMINANCE = """
(() => {
  const parts = c => c.match(/[\\d.]+/g).map(Number);
  const linear = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => { const [r, g, b] = parts(c).map(linear);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = e => { for (; e; e = e.parentElement) {
      const c = getComputedStyle(e).backgroundColor;
      if ((parts(c)[3] ?? 1) > 0) return c; } return "rgb(255, 255, 255)"; };
  const bad = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let n; (n = walk.nextNode());) {
    const e = n.parentElement, box = e.getBoundingClientRect();
    if (!n.data.trim() || !box.width || e.closest("svg, script, .hidden")) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(n.data.trim().slice(0, 40));
  }
  return bad;
})()
"""
"""Texts whose contrast is below 4.5 to 1 (WCAG 2.2, 1.4.3)."""
UNNAMED = """
[...document.querySelectorAll("a, button, input, select, svg[role=img], table, nav")].filter(e =>
  !(e.textContent.trim() || e.getAttribute("aria-label") || e.labels?.length)
  || (e.tagName === "TABLE" && !e.caption && !e.classList.contains("segments"))
  || (e.tagName === "TH" && !e.scope)).map(e => e.outerHTML.slice(0, 80))
"""
SMALL = """
[...document.querySelectorAll("a, button, select, input, summary")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && box.height < 24 && !e.closest("p, dd, li, h1, h2, h3");
}).map(e => e.outerHTML.slice(0, 80))
"""
"""Targets below 24 pixels that do not stand in a line of text (WCAG 2.2, 2.5.8)."""
LEVELS = "[...document.querySelectorAll('h1, h2, h3')].map(e => +e.tagName[1])"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_are_accessible(
    browser: Browser, site: str, honest: Run, hostile: Run, scheme: str
) -> None:
    """Contrast, names, captions, order of headings, size of targets; axe-core is not here."""
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.send("Emulation.setEmulatedMedia", {"features": [feature]})
    for path in paths(honest, hostile):
        browser.open(site + path, 1280, 800)
        assert browser.evaluate(LUMINANCE) == [], path
        assert browser.evaluate(UNNAMED) == [], path
        assert browser.evaluate(SMALL) == [], path
        levels = browser.evaluate(LEVELS)
        assert levels[0] == 1, path
        assert all(b - a <= 1 for a, b in pairwise(levels)), path
    browser.send("Emulation.setEmulatedMedia", {"features": []})


def test_the_keyboard_alone_reaches_a_record(browser: Browser, site: str, honest: Run) -> None:
    run = f"/runs/0x{honest.run_id.hex()}"
    browser.open(f"{site}{run}/records", 1280, 800)
    for _ in range(40):
        for type_ in ("keyDown", "keyUp"):
            key = {"type": type_, "key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
            browser.send("Input.dispatchKeyEvent", key)
        assert (
            browser.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
            >= 2
        )
        if browser.evaluate("document.activeElement.pathname") == f"{run}/records/0":
            return
    pytest.fail("no record can be reached with the keyboard")
