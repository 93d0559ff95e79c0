"""Text from outside, as people are shown it.

A name in somebody's evidence may hold escape sequences of terminals, line breaks, or marks that
turn the direction of writing. Shown as they are, they could write a verdict of their own. And words
of others inside a sentence of ours could go on as if they were ours.

Source: Unicode 15.1, `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt) and the general
categories Pi and Pf.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Letters, marks and symbols that `str.isprintable` allows and that nobody sees.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
MOST_TOLD = 400
"""Characters of a place or a value in a sentence, or in a field of a claim."""
MOST_REASON = 200
"""Characters of why something was revoked; the contract has no limit."""
_MOST_MARKS = 4  # on one letter; more cover the lines around them
# What looks like a quotation mark, beside the categories Pi and Pf. Two single ones do, too.
_QUOTES = re.compile(
    '["\u02ba\u02dd\u02ee\u02f5\u02f6\u05f4\u1425\u1cd3\u201a\u201e\u2033\u2034\u2036\u2037'
    "\u2057\u275b-\u2760\u276e\u276f\u2e42\u3003\u301d-\u301f\uff02\U0001145a"
    "\U0001f676-\U0001f678]"
)
_SINGLE = re.compile(
    "['`\u00b4\u02b9\u02bb-\u02bd\u02bf\u02ca\u02cb\u02f4\u055a\u05f3\u07f4\u2032\u2035\uff07\uff40]{2,}"
)
_WORD = re.compile(r"[A-Za-z0-9_.:/+-]+", re.ASCII)


def visible(text: str) -> str:
    """The text (attacker-controlled) with everything that is not plainly visible spelled out.

    Kept are the characters that `str.isprintable` allows: letters of all scripts, marks, digits,
    punctuation, symbols, and the space. Of these, fillers, variation selectors, tags and blank
    signs are spelled out too, and more than four marks on one letter. Control and format
    characters, line and paragraph separators, other spaces, surrogates and unassigned code points
    become `\\x1b`, `\\u202e` or `\\U000e0041`. Letters that are written from right to left stay,
    and so do letters that look like others. The result has one line.
    Law: `visible(visible(t)) == visible(t)`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_pieces(text))


def _pieces(text: str) -> Iterable[str]:
    """Each character of a text, or how it is spelled out."""
    marks = 0
    for char in text:
        marks = marks + 1 if unicodedata.category(char) in ("Mn", "Me") else 0
        is_seen = char.isprintable() and not _INVISIBLE.match(char) and marks <= _MOST_MARKS
        yield char if is_seen else _spelled(ord(char))


def _spelled(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str, most: int = 80) -> str:
    """Somebody's words (attacker-controlled) inside a sentence of ours, with marks around them.

    Every text that somebody else wrote goes through this function, or `told`, before it stands in a
    sentence: reasons of revocations, names, tools, paths, error messages of endpoints.

    They are spelled out as `visible` does, cut to `most` characters as they are shown, and hold no
    such mark themselves, nor what looks like one: those become `'`.
    """
    return f'"{_without_marks(shortened(text, most))}"'


def _without_marks(words: str) -> str:
    """Words without anything that looks like a quotation mark."""
    initial = "".join("'" if unicodedata.category(c) in ("Pi", "Pf") else c for c in words)
    return _SINGLE.sub("'", _QUOTES.sub("'", initial))


def shortened(text: str, most: int) -> str:
    """The text (attacker-controlled) as `visible` shows it, in at most `most` >= 2 characters.

    Of a longer one its beginning, and `..`. The work is bounded by `most`, however long it is.
    """
    shown: list[str] = []
    kept, length = 0, 0
    for piece in _pieces(text):
        length += len(piece)
        if length > most:
            return "".join(shown[:kept]) + ".."
        shown.append(piece)
        kept = len(shown) if length <= most - 2 else kept
    return "".join(shown)


def told(value: object, most: int = 80) -> str:
    """A value of somebody's record (attacker-controlled) inside a sentence of ours.

    One word of ASCII letters, digits and `_.:/+-` stays as it is, so digests, numbers and names of
    tensors do: no sentence is written with it. All else is `quoted`, and both have a bound.
    """
    text = str(value)
    return text if len(text) <= most and _WORD.fullmatch(text) else quoted(text, most)


def place(where: str) -> str:
    """A place, inside a sentence of ours. One in a file (attacker-controlled) is `told`."""
    return told(where, MOST_TOLD) if "/" in where else shortened(where, MOST_TOLD)


def sentence(
    what: str, *, where: str | None = None, expected: object = None, actual: object = None
) -> str:
    """`where: what, expected .., actual ..`, without the parts that are None.

    The values may be others' words, so they are `told`.
    """
    said = f"{place(where)}: {what}" if where else what
    for name, value in (("expected", expected), ("actual", actual)):
        if value not in (None, ""):
            said += f", {name} {told(value, MOST_TOLD)}"
    return said
