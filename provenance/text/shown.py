"""Text from outside, as people are shown it.

A name in somebody's evidence may hold escape sequences of terminals, line breaks, or marks that
turn the direction of writing. Shown as they are, they could write a verdict of their own.
"""

from __future__ import annotations


def visible(text: str) -> str:
    """The text (attacker-controlled) with everything that is not plainly visible spelled out.

    Kept are the characters that `str.isprintable` allows: letters of all scripts, marks, digits,
    punctuation, symbols, and the space. Control and format characters, line and paragraph
    separators, other spaces, surrogates and unassigned code points become `\\x1b`, `\\u202e` or
    `\\U000e0041`. The result has one line. Law: `visible(visible(t)) == visible(t)`.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _spelled(ord(c)) for c in text)


def _spelled(code: int) -> str:
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(text: str, most: int = 80) -> str:
    """Somebody's words (attacker-controlled) inside a sentence of ours, with marks around them.

    They are cut, spelled out as `visible` does, and hold no such mark themselves.
    """
    cut = text if len(text) <= most else text[: most - 2] + ".."
    words = visible(cut).replace('"', "'")
    return f'"{words}"'
