"""The operator's folders are taken out of texts as whole paths; words that look alike stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.judgement.verdict import Claim, Edge, Grade, Status, Verdict
from provenance.text.shown import quoted, sentence
from provenance_api.evidence import Redaction
from tests.support.service import StateFactory

WORDS = (
    "every key claim required by the policy holds; 31 sibling runs on this dataset; "
    "journal and/or heads; merge/quantize; 3 of r; a.b: x"
)


@pytest.mark.parametrize("name", ["r", "runs", "e", "evidence", "and", "merge", "a", "."])
def test_a_folder_named_like_a_word_takes_no_word_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in (Path(name), tmp_path / name):
        redaction = Redaction((folder,))
        assert redaction.text(WORDS) == WORDS
        path = (tmp_path / name).absolute()
        assert redaction.text(f"{path}/x record 3") == "evidence/x record 3"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("{r}", "evidence"),
        ("{r}/provenance/journal: torn", "evidence/provenance/journal: torn"),
        ("see {r}.", "see evidence."),
        ("'{r}', ({r}) and {r}: no", "'evidence', (evidence) and evidence: no"),
        ("{r}2/x {r}-old {r}.d/x a{r}", "{r}2/x {r}-old {r}.d/x a{r}"),
        ("/other{r}/x", "/other{r}/x"),
        ("no permission: {p} has mode 0700", "no permission: (folder) has mode 0700"),
        ("{p}/others/file", "{p}/others/file"),
        ("http://me:key@node.example{r}/x failed", "(endpoint) failed"),
    ],
)
def test_paths_are_taken_out_where_they_begin_and_end(
    tmp_path: Path, text: str, redacted: str
) -> None:
    names = {"r": str(tmp_path / "r"), "p": str(tmp_path)}
    redaction = Redaction((tmp_path / "r",))
    assert redaction.text(text.format(**names)) == redacted.format(**names)


def test_both_spellings_of_a_linked_folder_are_taken_out(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    redaction = Redaction((tmp_path / "link",))
    assert redaction.text(f"{tmp_path}/link/a {tmp_path}/real/a") == "evidence/a evidence/a"
    assert Redaction((Path("/"),)).text("/srv/x and/or") == "/srv/x and/or"


def test_every_text_of_a_verdict_is_looked_at(tmp_path: Path) -> None:
    path = f"{tmp_path}/r/x http://node.internal:8545"
    claim = Claim("log.committed", 4, path, False, path, path, path, path, {"endpoints": path})
    edge = Edge("trained_on", "a", "b", Grade.ANCHORED, path)
    verdict = Verdict(Status.FAILED, path, {"name": "m"}, (claim,), (edge,), (path,))
    redacted = str(Redaction((tmp_path / "r",)).verdict(verdict).to_json())
    assert str(tmp_path) not in redacted
    assert "internal" not in redacted


def test_of_the_endpoints_that_agreed_their_number_is_left() -> None:
    """The attack: a page of the service names the nodes of the operator's own network."""
    hosts = "http://10.0.0.5:8545, https://node.corp:8545"
    said = '3 of 3 endpoints agree; http://10.0.0.5:8545 says "see http://x.corp"'
    redacted = Redaction(()).claim(Claim("chain.agreed", 4, said, True, evidence={"e": hosts}))
    assert redacted.evidence == {"e": "(endpoint), (endpoint)"}
    assert redacted.text == '3 of 3 endpoints agree; (endpoint) says "see (endpoint)"'


@pytest.mark.parametrize("name", ["with blanks", "“quoted”", "a''b", "\u3164\u202e", "x" * 250])
def test_a_folder_is_taken_out_also_where_a_sentence_quotes_it(tmp_path: Path, name: str) -> None:
    at = tmp_path / name
    for shown in (quoted(f"{at}/x", 2_000), sentence("torn", where=f"{at}/x"), str(at)):
        redacted = Redaction((at,)).text(shown)
        assert (tmp_path.name in redacted, "evidence" in redacted) == (False, True), redacted


def test_a_service_reads_its_folders_by_absolute_paths(
    make_state: StateFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make_state(Path("r"), Path()).folders == (tmp_path / "r", tmp_path)
