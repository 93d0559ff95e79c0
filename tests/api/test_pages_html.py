"""The pages: hostile text is shown, never run; what was not checked stands first; no scripts."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from fastapi.testclient import TestClient

from provenance.judgement.verdict import TABLE, Claim, Edge, Grade, Status, Verdict
from provenance_api.negotiation import prefers_html, quality
from provenance_api.resolve import Answer
from provenance_api.web.explorer import ExplorerPages
from provenance_api.web.lineage import pictures, shorten
from provenance_api.web.page import FOLDER, LOOKS, STATIC, STEPS, Pages
from provenance_api.web.texts import ENGLISH, Texts
from tests.support.service import HOSTILE, HTML, REASON, ClientFactory, Outline, page_of
from tests.support.spine import Run


def test_verdict_page_says_what_was_not_checked_first(client: TestClient, honest: Run) -> None:
    page = page_of(client, f"/verify/{honest.model}")
    assert "Verified (development)" in page
    places = [
        page.index(mark)
        for mark in ("Verified (development)", "Not checked (", 'id="lineage"', 'id="claims"')
    ]
    assert places == sorted(places)
    assert "verification ended before" not in page
    assert str(honest.model) in page
    assert f"0x{honest.run_id.hex()}" in page
    assert "provenance verify FILE --evidence EVIDENCE_FOLDER --trust trust.yaml" in page
    for limit in client.get(f"/verify/{honest.model}").json()["limits"]:
        assert limit in page


def test_picture_labels_every_edge_and_describes_itself(client: TestClient, honest: Run) -> None:
    page = page_of(client, f"/verify/{honest.model}")
    drawings = re.findall(r'<svg class="lineage.*?</svg>', page, re.DOTALL)
    assert len(drawings) == 2
    for drawing in drawings:
        tree = ElementTree.fromstring(drawing)
        labels = [
            t.text for g in tree.iter("g") if "edge" in g.attrib["class"] for t in g.iter("text")
        ]
        assert len(labels) == 8
        assert set(labels) <= {g.value for g in Grade}
        assert "proven" in labels
        assert tree.find("title") is not None
        description = tree.find("desc")
        assert description is not None
        assert "quantized file from merged model: declared" in str(description.text)
        names = [t.text for t in tree.iter("text") if t.attrib.get("class") == "name"]
        assert names[0] == "Dataset"
        assert {
            "Training run",
            "Checkpoint",
            "Adapter",
            "Merged model",
            "Quantized file",
            "Release",
        } <= set(names)


def test_hostile_names_are_text(make_client: ClientFactory, hostile: Run) -> None:
    client = make_client(hostile.folder.root)
    for path in (
        f"/verify/{hostile.model}",
        "/",
        f"/verify?id={HOSTILE}",
        f"/verify?id={HOSTILE}nobody",
    ):
        page = page_of(client, path)
        assert "<script>alert" not in page
        assert "<img src=x" not in page
        assert "&lt;script&gt;" in page


def test_hostile_revocation_reasons_are_text(make_client: ClientFactory, revoked: Run) -> None:
    page = page_of(make_client(revoked.folder.root), f"/verify/{revoked.model}")
    assert REASON not in page
    assert "&lt;b&gt;leaked&lt;/b&gt;" in page
    assert "Revoked" in page


def test_pages_need_no_script_and_carry_no_inline_code(client: TestClient, honest: Run) -> None:
    for path in (f"/verify/{honest.model}", "/", "/verify/nobody", "/verify?id=.."):
        for tag, attributes in Outline(page_of(client, path)).tags:
            assert "style" not in attributes
            assert not any(name.startswith("on") for name in attributes)
            assert tag != "style"
            if tag == "script":
                assert attributes.get("src") == "/static/copy.js"
            for name in ("src", "href", "action"):
                value = attributes.get(name)
                assert value is None or value.startswith("/"), (tag, name, value)


def test_digests_are_never_cut_below_8_and_8(client: TestClient, honest: Run) -> None:
    page = page_of(client, f"/verify/{honest.model}")
    for before, after in re.findall(r"([0-9a-f]+)…([0-9a-f]+)", page):
        assert len(before) >= 8
        assert len(after) >= 8
    assert shorten(f"dataset 0x{'ab' * 32}") == "abababab…abababab"
    assert shorten("short") == "short"


def test_the_home_page_lists_releases_and_asks_for_an_id(client: TestClient, honest: Run) -> None:
    page = page_of(client, "/")
    assert str(honest.model) in page
    assert 'action="/search"' in page
    assert 'name="q"' in page


def test_problem_pages_say_what_was_searched(client: TestClient) -> None:
    page = page_of(client, "/verify/nobody")
    assert "release names" in page
    assert client.get("/verify/nobody", headers=HTML).status_code == 404
    assert page_of(client, "/no/such/page")


def test_static_files_are_served(client: TestClient) -> None:
    for file in STATIC.iterdir():
        assert client.get(f"/static/{file.name}").status_code == 200


@pytest.mark.parametrize("status", Status)
def test_every_status_has_a_look_of_its_own(status: Status) -> None:
    verdict = Verdict(
        status,
        "because",
        {"name": "x", "digest": "sha256:" + 64 * "a", "file_seen": False},
        trust="sha256:t",
    )
    page = Pages().verdict(Answer("x", "digest", verdict))
    Outline(page)
    assert TABLE[status].word in page
    assert status in LOOKS
    assert "nothing to draw" in page


def test_failing_claims_show_expected_and_actual() -> None:
    claim = Claim(
        "release.logged",
        3,
        "records differ",
        False,
        where="head 2",
        expected="0x" + "a" * 64,
        actual="<i>",
    )
    subject = {"name": "x", "digest": "sha256:" + 64 * "a", "file_seen": False}
    verdict = Verdict(Status.FAILED, "records differ", subject, claims=(claim,))
    page = Pages().verdict(Answer("x", "digest", verdict))
    assert "0x" + "a" * 64 in page
    assert "&lt;i&gt;" in page
    assert "head 2" in page


def test_every_step_of_a_claim_has_a_heading() -> None:
    from provenance.judgement.policy import CLAIMS

    assert set(CLAIMS.values()) <= set(STEPS)


def test_a_part_of_the_lineage_gives_no_picture(client: TestClient) -> None:
    verdict = Verdict(Status.FAILED, "x", {}, edges=(Edge("trained_on", "a", "b", Grade.PROVEN),))
    assert pictures(verdict, ENGLISH) == ()
    assert pictures(replace(verdict, edges=()), ENGLISH) == ()


def test_picture_says_how_roots_are_tied_to_weights() -> None:
    steps = [
        ("trained_on", "data", "batches"),
        ("adapter_from", "batches", "adapter"),
        ("finetuned_from", "base", "adapter"),
        ("merged_from", "adapter", "merged"),
        ("merged_from", "base", "merged"),
        ("quantized_from", "merged", "file"),
    ]
    ties = [("base", Grade.RECOMPUTED), ("adapter", Grade.DECLARED)]
    edges = [
        *(Edge(kind, parent, child, Grade.PROVEN) for kind, parent, child in steps),
        *(Edge("committed_as", weights, f"table 0x{weights}", grade) for weights, grade in ties),
    ]
    verdict = Verdict(
        Status.VERIFIED, "x", {}, edges=tuple(edges), release={"run_id": "run", "record": "record"}
    )
    drawn = pictures(verdict, ENGLISH)
    assert len(drawn) == 2  # a wide one and a tall one
    for picture in drawn:
        notes = {box.node.key: box.notes(ENGLISH) for box in picture.boxes}
        lines = {key: [line for _, line in of_box] for key, of_box in notes.items()}
        assert (lines["base"], lines["adapter"], lines["merged"]) == (
            ["roots recomputed"],
            ["roots declared"],
            [],
        )
        for box in picture.boxes:
            assert all(y < box.y + box.height for y, _ in notes[box.node.key])
        assert picture.description.endswith(
            "roots of the adapter: declared; roots of the base model: recomputed"
        )


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (None, False),
        ("", False),
        ("*/*", False),
        ("text/html", True),
        ("application/json", False),
        ("text/html;q=0.5, application/json", False),
        ("text/html, application/json;q=0.9", True),
        ("text/html, application/json", False),
        (HTML["accept"], True),
        ("text/*, application/json;q=0.2", True),
        ("text/html;q=0", False),
        ("text/html;q=x", False),
        ("TEXT/HTML", True),
        (",,;;,", False),
        ("image/png", False),
        ("text/html;q=0.1, */*;q=0.05", True),
    ],
)
def test_html_is_sent_to_clients_that_prefer_it(accept: str | None, html: bool) -> None:
    assert prefers_html(accept) is html


def test_quality_takes_the_most_specific_range() -> None:
    assert quality("*/*;q=0.1, text/*;q=0.2, text/html;q=0.3", "text/html") == 0.3
    assert quality("*/*;q=0.1, text/*;q=0.2", "text/html") == 0.2
    assert quality("*/*;q=0.1", "text/html") == 0.1


def test_format_overrides_accept(client: TestClient, honest: Run) -> None:
    path = f"/verify/{honest.model}"
    assert (
        client.get(f"{path}?format=json", headers=HTML).headers["content-type"]
        == "application/json"
    )
    assert client.get(f"{path}?format=html").headers["content-type"].startswith("text/html")
    assert client.get(path).headers["vary"] == "Accept"


def test_every_tone_of_the_style_sheet_belongs_to_a_status() -> None:
    """The tones that site.css defines are exactly the looks of the statuses and the mark `dev`."""
    style = (Path(STATIC) / "site.css").read_text()
    assert {tone for tone, _ in LOOKS.values()} | {"dev"} == set(
        re.findall(r"\.tone-(\w+) {", style)
    )


def test_templates_hold_no_text_of_their_own(client: TestClient, honest: Run) -> None:
    """With another language's texts no English is left on a page, but in commands (`<pre>`)."""
    marked = Texts("xx", {key: f"[{text}]" for key, text in ENGLISH.sentences.items()})
    for template in (FOLDER / "templates").rglob("*.html"):
        text = re.sub(r"{%.*?%}|{{.*?}}", "", template.read_text(), flags=re.DOTALL)
        text = re.sub(r"<pre>.*?</pre>|<[^>]*>", "", text, flags=re.DOTALL)
        assert re.findall(r"[A-Za-z]+", text) == [], template.name
    verdict = Verdict(
        Status.NOT_FOUND, "1", {"name": "2", "digest": "sha256:" + 64 * "0", "file_seen": False}
    )
    pages = Pages(marked)
    home = ExplorerPages(pages, marked).home(None, "3")
    assert '<html lang="xx">' in home
    assert "[Latest releases]" in home
    assert "[Not reached.]" in pages.verdict(Answer("x", "digest", verdict))


def test_every_text_is_used_and_every_used_text_exists() -> None:
    modules = [*FOLDER.glob("*.py"), *(FOLDER.parent / "explorer").rglob("*.py")]
    files = [
        *(FOLDER / "templates").rglob("*.html"),
        *(module for module in modules if not module.name.endswith("texts.py")),
    ]
    source = "".join(file.read_text() for file in files)
    used = set(re.findall(r'"((?:[a-z_]+\.)+[a-z_0-9]+)"', source)) & set(ENGLISH.sentences)
    made = set(re.findall(r't\("([a-z.]+)" ~', source)) | set(re.findall(r'f"([\w.]+\.){', source))
    unused = {k for k in ENGLISH.sentences if k not in used and not k.startswith(tuple(made))}
    assert unused == set()
    called = set(re.findall(r'\bt\("([a-z_.0-9]+[a-z_0-9])"[,)]', source))
    called |= set(re.findall(r'plain\(\s*"([a-z_.]+)"', source))
    assert called <= set(ENGLISH.sentences)
