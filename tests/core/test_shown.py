"""Names in evidence that would like to write the verdict themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError
from provenance.judgement.training import Stretch, Training
from provenance.judgement.verdict import Claim, Edge, Grade, Status, Verdict
from provenance.text.shown import quoted, told, visible
from provenance_api.resolve import Answer
from provenance_api.web.page import Pages
from provenance_cli.judge.verdict_text import proof_verdict_text, render
from provenance_cli.output import fields

CLEAR = "\x1b[2J\x1b[H"  # clears a terminal
TITLE = "\x1b]0;VERIFIED\x07"  # sets its title
BIDI = "\u202edeifirev\u202c"  # is read "verified"
LINES = "x\nVERIFIED  model.gguf: every claim holds\r\u2028y\x85z"
HIDDEN = "a\u200bb\u2066c\ufeff\U000e0041"
LONE = "\ud800"
ATTACKS = [CLEAR, TITLE, BIDI, LINES, HIDDEN, LONE, "<b>\x1b[1m</b>", "\x00\x7f\x9b31m"]


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_is_not_plainly_visible_is_spelled_out(attack: str) -> None:
    shown = visible(attack)
    assert shown.isprintable()
    assert visible(shown) == shown


def test_what_is_visible_stays() -> None:
    for text in ("modèle 7B", "模型", "نموذج", "sha256:ab..cd", "a -> b, <b>&"):
        assert visible(text) == text
    assert visible("a\x1bb\u202ec\U000e0041") == "a\\x1bb\\u202ec\\U000e0041"


# Letters, marks and blanks that nobody sees, and that `str.isprintable` allows; and more marks on a
# letter than any script has.
UNSEEN = "\u3164\u115f\u1160\uffa0\u2800\u034f\ufe00\ufe0f\U000e0100\U000e01ef\u17b4\u180b\u180f"
LOOKALIKES = "\u201d\u201c\u201e\u201f\uff02\u2033\u02ba\u02ee\u05f4\u275e\u301e\u3003\u00bb\u2019"


@pytest.mark.parametrize("unseen", UNSEEN)
def test_two_names_that_look_alike_are_shown_differently(unseen: str) -> None:
    assert visible(f"wit{unseen}ness") == f"wit\\{ascii(unseen)[2:-1]}ness"
    assert visible(visible(f"wit{unseen}ness")) == visible(f"wit{unseen}ness")


def test_marks_without_end_do_not_cover_other_lines() -> None:
    shown = visible("a" + "\u0300" * 500)
    assert shown.count("\u0300") == 4
    assert visible(shown) == shown
    assert (
        visible("ti\u1ebf\u0301ng Vi\u1ec7t e\u0323\u0302")
        == "ti\u1ebf\u0301ng Vi\u1ec7t e\u0323\u0302"
    )


@pytest.mark.parametrize("mark", [*LOOKALIKES, "''", "\u2032\u2032", "``"])
def test_quoted_words_hold_nothing_that_looks_like_their_end(mark: str) -> None:
    shown = quoted(f"x{mark} was recomputed in full by this verifier; base.traced {mark}")
    assert mark not in shown
    assert shown[1:-1].count('"') == 0


@given(st.text(st.characters(codec=None)), st.integers(2, 90))
def test_quoted_words_are_no_longer_than_asked_for(text: str, most: int) -> None:
    assert len(quoted(text, most)) <= most + 2
    assert len(quoted(text * 50, most)) <= most + 2
    assert told(text, most) in (text, quoted(text, most))


def test_values_that_are_no_sentence_stay_as_they_are() -> None:
    for value in (7, "sha256:ab", "blk.0.attn_q.weight", "0x12"):
        assert told(value) == str(value)
    for value in ("a b", "x" * 81, "", "\u0430", "a;b"):
        assert told(value) == quoted(value)


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_line_that_can_be_printed(text: str) -> None:
    assert len(visible(text).splitlines()) <= 1
    visible(text).encode()


def verdict(attack: str) -> Verdict:
    claim = Claim("release.named", 2, attack, False, attack, attack, attack, attack, {"a": attack})
    return Verdict(
        status=Status.FAILED,
        reason=attack,
        subject={"name": attack, "digest": attack, "file_seen": True},
        claims=(claim, replace(claim, holds=None)),
        edges=(Edge("trained_on", attack, attack, Grade.ANCHORED, attack),),
        development=(attack,),
        siblings=(attack,),
        release={"name": attack, "owner": attack},
        interval={"not_before": {"block": 1, "time": 2}, "not_later_than": None},
        training=Training(1, 1, 1, (Stretch(1, 2, 3, 1, attack, {}, 1, {attack: {"exact": 1}}),)),
        trust=attack,
    )


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_verdict_writes_only_its_own_lines(attack: str) -> None:
    honest, attacked = render(verdict("x")), render(verdict(attack))
    assert len(attacked.splitlines()) == len(honest.splitlines())
    assert all(line.isprintable() for line in attacked.splitlines())
    assert all(line.isprintable() for line in proof_verdict_text(verdict(attack)).splitlines())
    assert verdict(attack).to_json()["reason"] == attack  # programs get what is there


@pytest.mark.parametrize("attack", ATTACKS)
def test_errors_and_results_are_printed_so_too(attack: str) -> None:
    error = str(InputError(attack, where=attack, expected=attack, actual=attack, hint=attack))
    assert error.isprintable()
    assert all(line.isprintable() for line in fields({"name": attack, "of": [attack]}).splitlines())


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_page_shows_no_text_that_acts_on_it(attack: str) -> None:
    attacked = replace(verdict(attack), release=None, interval=None)
    page = Pages().verdict(Answer(attack, "digest", attacked))
    assert attack not in page
    assert all(line.isprintable() for line in page.split("\n"))


@pytest.mark.parametrize("words", ['a" holds: "b', "x" * 500, "\x1b[2J", "one\ntwo"])
def test_quoted_words_end_where_their_marks_do(words: str) -> None:
    """Else a name could go on as the verifier's own sentence."""
    shown = quoted(words)
    assert (shown[0], shown[-1], shown.count('"')) == ('"', '"', 2)
    assert len(shown) < 200
    assert shown.isprintable()
