"""The operator's folders are taken out of texts as whole paths; words that look alike stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.judgement.verdict import Claim, Status, Verdict
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
    path = f"{tmp_path}/r/x"
    claim = Claim(
        "log.committed", 4, path, False, needs=path, expected=path, actual=path, where=path
    )
    verdict = Verdict(Status.FAILED, path, {"name": "m"}, claims=(claim,))
    redacted = Redaction((tmp_path / "r",)).verdict(verdict).to_json()
    assert str(tmp_path) not in str(redacted)


def test_a_service_reads_its_folders_by_absolute_paths(
    make_state: StateFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert make_state(Path("r"), Path()).folders == (tmp_path / "r", tmp_path)
