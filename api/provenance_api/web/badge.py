"""A small picture with the word of a verdict, for READMEs and dashboards.

It has words of the closed table of verdicts and nothing else, so no text of others can be in it. A
picture shows what one service said when it was drawn; whoever relies on it opens the verdict.
"""

from __future__ import annotations

from provenance.judgement.verdict import TABLE, Status

_LABEL = "provenance"
# White text on them has a contrast of 4.5:1 or more (WCAG 2.2, 1.4.3).
_COLOURS = {
    Status.VERIFIED: "#126b3c",
    Status.FAILED: "#a51d20",
    Status.REVOKED: "#a51d20",
    Status.POLICY_DENIED: "#8a4b00",
    Status.INDETERMINATE: "#8a4b00",
    Status.PENDING: "#1a4fa3",
    Status.NOT_FOUND: "#45546a",
}
_DEVELOPMENT = "#0b6470"
_CHAR, _PAD = 7, 8  # px; `textLength` fits the words to it whatever font is there


def badge(status: Status, development: bool = False) -> str:
    """The picture (SVG 1.1), 20 px high; its title says the same as text.

    Args:
        development: whether a good verdict is none for production.
    """
    word, colour = TABLE[status].word, _COLOURS[status]
    if status is Status.VERIFIED and development:
        word, colour = f"{word} (development)", _DEVELOPMENT
    left, right = (_CHAR * len(text) + 2 * _PAD for text in (_LABEL, word))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{_LABEL}: {word}"><title>{_LABEL}: {word}</title>'
        f'<rect width="{left}" height="20" fill="#2f3a49"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{colour}"/>'
        '<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f"{_words(_LABEL, 0)}{_words(word, left)}</g></svg>\n"
    )


def _words(text: str, at: int) -> str:
    return f'<text x="{at + _PAD}" y="14" textLength="{_CHAR * len(text)}">{text}</text>'
