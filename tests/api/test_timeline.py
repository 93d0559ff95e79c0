"""The timeline on a model's page: segments, how they stand, and no code from names."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fastapi.testclient import TestClient

from provenance.judgement.training import Stretch, Training
from provenance.judgement.verdict import Status, Verdict
from provenance.log.audit.agreement import Agreement
from provenance_api.headers import SecurityHeaders
from provenance_api.resolve import Answer
from provenance_api.web.page import STATIC, Pages
from provenance_api.web.texts import ENGLISH, Texts
from provenance_api.web.timeline import HEIGHT, STANDINGS, TOP, standing, timeline
from tests.api.test_pages_browser import CHROMIUM, SIZES, Browser
from tests.api.test_pages_html import Outline
from tests.support.service import HOSTILE, serving
from tests.support.spine import Run

EXACT = {"exact": 1}
NAMES = (HOSTILE, '"><b x="', "a\x1b[2Jb", "x" * 200, "\u202egnp")


def stretch(number: int, steps: int = 10, count: int = 1, **more: Any) -> Stretch:
    first, last = 1 + number * steps, (number + 1) * steps
    fields: dict[str, Any] = {"here": {}, "audited": 0, "auditors": {}} | more
    return Stretch(first, last, 4 * steps, count, f"checkpoint-{last}", **fields)


MIXED = Training(
    6,
    2,
    1234,
    (
        stretch(0, audited=1, auditors={"Anna": EXACT, "Bert": EXACT}),
        stretch(1, auditors={"Anna": EXACT}),
        stretch(2),
        stretch(3, here=EXACT, audited=1, auditors={"Anna": EXACT, "Bert": EXACT}),
        stretch(4, auditors={"Anna": EXACT, "Bert": {"close": 1}}),
        stretch(5, here=EXACT, auditors={"Bert": {"different": 1}}),
    ),
)
ONE = Training(1, None, None, (stretch(0),))
MANY = Training(
    300,
    1,
    7,
    tuple(
        stretch(n, count=2, audited=n % 3, auditors={"A": {"exact": 1 + n % 2}}) for n in range(150)
    ),
)
SINGLY = Training(256, 1, 7, tuple(stretch(n) for n in range(256)))
HOSTILE_ONE = Training(
    2,
    1,
    None,
    (
        stretch(0, auditors=dict.fromkeys(NAMES, EXACT), audited=1),
        Stretch(11, 10, 0, 1, f'"{HOSTILE}"', {}, 0, {}),
    ),
)
UNTRAINED = Training(1, None, None, (Stretch(1, 0, 0, 1, "adapter", {}, 0, {}),))
ALL = {
    "mixed": MIXED,
    "one": ONE,
    "many": MANY,
    "singly": SINGLY,
    "hostile": HOSTILE_ONE,
    "untrained": UNTRAINED,
    "none": None,
}


def page_of(training: Training | None, texts: Texts = ENGLISH) -> str:
    subject = {"name": "x", "digest": "sha256:" + 64 * "a", "file_seen": False}
    verdict = Verdict(Status.VERIFIED, "because", subject, training=training)
    return Pages(texts).verdict(Answer("x", "digest", verdict))


def section(page: str) -> str:
    found = re.search(r'<section aria-labelledby="training">.*?</section>', page, re.DOTALL)
    assert found is not None
    return found[0]


def drawings(page: str) -> list[ElementTree.Element]:
    found = re.findall(r'<svg class="timeline timeline-.*?</svg>', page, re.DOTALL)
    return [ElementTree.fromstring(each) for each in found]


def table(page: str) -> list[str]:
    rows = re.findall(r"<tr>(.*?)</tr>", section(page), re.DOTALL)
    return [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in rows[1:]]


def test_the_table_says_of_each_segment_who_trained_it_again() -> None:
    assert table(page_of(MIXED)) == [
        "steps 1 to 10 40 batches, ends with checkpoint-10 no Anna exact Bert exact "
        "enough auditors",
        "steps 11 to 20 40 batches, ends with checkpoint-20 no Anna exact "
        "not exact by enough auditors",
        "steps 21 to 30 40 batches, ends with checkpoint-30 no nobody",
        "steps 31 to 40 40 batches, ends with checkpoint-40 exact Anna exact Bert exact "
        "enough auditors",
        "steps 41 to 50 40 batches, ends with checkpoint-50 no Anna exact Bert close "
        "not exact by enough auditors",
        "steps 51 to 60 40 batches, ends with checkpoint-60 exact Bert different "
        "not exact by enough auditors",
    ]


def test_every_class_has_a_word() -> None:
    assert {f"class.{name}" for name in Agreement} <= ENGLISH.sentences.keys()
    assert {agreement.value for agreement in Agreement} == {
        "exact",
        "close",
        "unknown",
        "different",
    }


def test_each_standing_has_a_word_a_pattern_and_a_height() -> None:
    found = [standing(s) for s in MIXED.segments]
    assert found == ["audited", "part", "nobody", "here", "astray", "different"]
    assert set(found) == set(STANDINGS)
    drawn = timeline(MIXED, ENGLISH)
    assert drawn is not None
    assert drawn.standings == dict.fromkeys(STANDINGS, 1)
    page = section(page_of(MIXED))
    for name in STANDINGS:
        assert f"{ENGLISH.sentences[f'timeline.standing.{name}']}: 1 of 6" in page
        if name != "nobody":
            assert f'fill="url(#{name}-wide)"' in page
            assert f'<pattern id="{name}-wide"' in page
    heights = {p.standing: p.height for p in drawn.bars[0].parts}
    assert len({heights[name] for name in ("here", "audited", "part", "nobody")}) == 4


@pytest.mark.parametrize("name", ALL.keys() - {"none"})
def test_segments_are_drawn_in_proportion_and_in_order(name: str) -> None:
    training = ALL[name]
    drawn = timeline(training, ENGLISH)
    assert training is not None
    assert drawn is not None
    steps = [max(s.last - s.first + 1, 0) for s in training.segments]
    for bar in drawn.bars:
        assert len(bar.parts) == len(training.segments)
        assert bar.parts[0].x == 2
        assert bar.parts[-1].x + bar.parts[-1].width == pytest.approx(bar.width - 2, abs=0.02)
        for part, wanted in zip(bar.parts, steps, strict=True):
            share = wanted / sum(steps) if sum(steps) else 1
            assert part.width == pytest.approx(share * (bar.width - 4), abs=0.02)
            assert part.y >= TOP
            assert part.y + part.height == TOP + HEIGHT
        places = [mark.x for mark in bar.marks]
        assert places == sorted(places)
        assert (bar.marks[0].label, bar.marks[-1].label) == (
            "seed",
            f"step {training.segments[-1].last}",
        )
        labels = [m for m in bar.marks if m.label]
        assert all(two.x - one.x >= 7 * len(one.label) for one, two in pairwise(labels[1:-1]))


def test_pictures_describe_themselves_in_words() -> None:
    trees = drawings(page_of(MIXED))
    assert len(trees) == 2
    for tree in trees:
        ids = {each.attrib["id"] for each in tree.iter() if "id" in each.attrib}
        assert set(tree.attrib["aria-labelledby"].split()) <= ids
        (said,) = tree.findall("desc")
        assert "trained again by nobody whose word counts: 1 of 6" in str(said.text)
        parts = [g for g in tree.iter("g") if "part" in g.attrib["class"]]
        titles = [g.findtext("title") for g in parts]
        assert titles[2] == (
            "steps 21 to 30: trained again by nobody whose word counts "
            "(40 batches, ends with checkpoint-30)"
        )
    every = re.findall(r'id="([^"]+)"', page_of(MIXED))
    assert len(every) == len(set(every))


@pytest.mark.parametrize("name", ALL)
def test_names_are_text_and_the_page_carries_no_code(name: str) -> None:
    page = page_of(ALL[name])
    for tag, attributes in Outline(page).tags:
        assert "style" not in attributes
        assert not any(attribute.startswith("on") for attribute in attributes)
        assert tag not in ("style", "img") or attributes.get("src") == "/static/icon.svg"
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    if name == "hostile":
        assert "&lt;script&gt;" in section(page)
        assert "a\\x1b[2Jb" in section(page)


def test_the_lead_says_who_counts_and_who_drew() -> None:
    drawn_by_chain, nobody = section(page_of(MIXED)), section(page_of(ONE))
    assert "The trust file wants 2 of its auditors for a segment." in drawn_by_chain
    assert "Block 1234 drew what they trained again" in drawn_by_chain
    assert "The trust file names no auditors" in nobody
    assert "drew what they trained again" not in nobody
    assert "the only segment of the training" in nobody
    assert "Not the chain, but the auditors drew" in section(page_of(HOSTILE_ONE))


def test_many_segments_are_drawn_a_few_as_one() -> None:
    page = section(page_of(MANY))
    assert "the 300 segments of the training" in page
    assert "drawn as one, which stands no better than the worst" in page
    assert len(table(page)) == 150
    assert table(page)[0].endswith("no A exact (1) enough auditors for 0 of 2")
    assert "<details>" in page  # such a table is not open at once
    assert "drawn as one" not in section(page_of(SINGLY))


def test_without_a_training_nothing_is_drawn_and_nothing_is_said_of_anybody() -> None:
    page = section(page_of(None))
    assert "There is nothing to draw" in page
    assert not re.search("<svg|<table|auditors", page)


def test_no_english_is_left_with_the_texts_of_another_language() -> None:
    marked = Texts("xx", dict.fromkeys(ENGLISH.sentences, "_"))
    text = re.sub(r"<[^>]*>", " ", section(page_of(MIXED, marked)))
    assert set(re.findall(r"[A-Za-z]+", text)) == {"Anna", "Bert"}


def test_an_honest_run_that_nobody_trained_again_says_so(client: TestClient, honest: Run) -> None:
    answer = client.get(f"/verify/{honest.model}")
    (one,) = answer.json()["training"]["segments"]
    assert (one["here"], one["audited"], one["auditors"]) == ({}, 0, [])
    page = client.get(f"/verify/{honest.model}?format=html").text
    (row,) = table(page)
    assert row.endswith("no nobody")


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The pages of `ALL`, with the style and the security policy of the service."""
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=Path(STATIC)))

    @app.get("/{name}")
    def page(name: str) -> HTMLResponse:
        return HTMLResponse(page_of(ALL[name]))

    with serving(SecurityHeaders(app)) as url:
        yield url


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_timeline_fits_the_screen(
    browser: Browser, site: str, width: int, height: int, scheme: str
) -> None:
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.send("Emulation.setEmulatedMedia", media)
    for name in ALL:
        browser.open(f"{site}/{name}", width, height)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
        assert browser.complaints() == [], name
        browser.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, name
        shown = "[...document.querySelectorAll('svg.timeline-wide, svg.timeline-narrow')]"
        shown += ".filter(e => e.getBoundingClientRect().width > 0)"
        assert browser.evaluate(f"{shown}.length") == (name != "none"), name
        size = f"Math.min(20, ...{shown}.flatMap(e => [...e.querySelectorAll('text')]"
        size += ".map(t => t.getBoundingClientRect().height)))"
        assert browser.evaluate(size) >= 13, name
