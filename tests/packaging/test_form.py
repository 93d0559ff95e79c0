"""The rules of `tools/form.py` find what they forbid, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from tests.support.places import REPO

_SPEC = importlib.util.spec_from_file_location("form", REPO / "tools" / "form.py")
assert _SPEC is not None
assert _SPEC.loader is not None
form = sys.modules["form"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(form)


@pytest.mark.parametrize(
    "line",
    [
        'x = "0x" + data.hex()',
        'x = f"0x{data.hex()}"',
        'x = f"run 0x{data.hex()}"',
        'x = f"{value} is 0x{value:064x}"',
        'x = text.removeprefix("0x")',
        'x = text.startswith(("sha256:", "0x"))',
        'x = re.compile(r"0x[0-9a-f]{64}")',
        'x = value.get("fee", "0x0")',
    ],
)
def test_written_hex_is_found(line: str) -> None:
    (found,) = form.written_hex(Path("provenance/a.py"), f"y = 1\n{line}\n")
    assert found.startswith("provenance/a.py:2: ")


@pytest.mark.parametrize(
    "line",
    [
        'x = "--dataset-id 0x.."',
        'x = "0x.."',
        'x = "0x and 64 digits"',
        'x = f"0x<64 hex> or {other}"',
        'x = """Prints as `0x` and 64 digits."""',
        "x = 0x7FFF",
        "x = to_hex(data)  # 0x",
    ],
)
def test_words_for_people_and_numbers_are_no_written_hex(line: str) -> None:
    assert not list(form.written_hex(Path("provenance/a.py"), line))
