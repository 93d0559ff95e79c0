"""Answers as JSON text, kept as long as their verdicts are served again."""

from __future__ import annotations

import json
from collections import OrderedDict

from provenance.judgement.verdict import Verdict
from provenance_api.resolve import Answer

MOST = 256


class Written:
    """The texts of the last `MOST` answers. One thread, that of the event loop, uses it."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, str], tuple[Verdict, bytes]] = OrderedDict()

    def json(self, answer: Answer) -> bytes:
        """The answer's JSON in UTF-8.

        A text is used again only for the very verdict that it was made from, as the same question
        (attacker-controlled) asked for it.
        """
        key = (answer.asked, answer.kind)
        kept = self._texts.get(key)
        if kept is not None and kept[0] is answer.verdict:
            self._texts.move_to_end(key)
            return kept[1]
        value = json.dumps(
            answer.to_json(), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        text = value.encode("utf-8")
        self._texts[key] = (answer.verdict, text)
        if len(self._texts) > MOST:
            self._texts.popitem(last=False)
        return text
