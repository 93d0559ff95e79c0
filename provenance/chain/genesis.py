"""One first block for the embedded chain, however often it is started.

Anvil makes a block 0 at each start, with the time of that start unless it is told another, and may
keep it beside the one in the saved state. Which of them then counts as the first is chance, and a
trust file names one of them. So each start is told the time of the first one.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from provenance.layout import write_json


def first_time(folder: Path) -> int:
    """The time of the chain's first block: Unix seconds, those of this start if there is none yet.

    A state with several blocks 0, which earlier releases made, loses all but the oldest.
    """
    file, state = folder / "genesis.json", folder / "state.json"
    try:
        return int(json.loads(file.read_text())["timestamp"])
    except (OSError, ValueError, KeyError, TypeError):
        found = _oldest(state) if state.is_file() else int(time.time())
    write_json(file, {"timestamp": found})
    return found


def _oldest(state: Path) -> int:
    saved = json.loads(state.read_text())
    first = sorted(filter(_is_first, saved["blocks"]), key=_time)
    if not first:
        return int(time.time())
    if len(first) > 1:
        saved["blocks"] = [first[0], *(b for b in saved["blocks"] if not _is_first(b))]
        new = state.with_suffix(".new")
        new.write_text(json.dumps(saved))
        new.replace(state)
    return _time(first[0])


def _is_first(block: dict[str, Any]) -> bool:
    return int(block["header"]["number"], 16) == 0


def _time(block: dict[str, Any]) -> int:
    return int(block["header"]["timestamp"], 16)
