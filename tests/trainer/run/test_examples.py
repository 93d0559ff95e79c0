"""The example scripts run as they are printed."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from provenance.log.tree import read_records
from provenance.order import epoch_order
from provenance_trainer.model.base import BaseModel
from tests.support import training as support
from tests.support.places import EXAMPLES
from tests.trainer import children

EXAMPLE = EXAMPLES / "own_trainer.py"


def run_script(script: Path, arguments: list[str]) -> None:
    sys.argv = [str(script), *arguments]
    runpy.run_path(str(script), run_name="__main__")


def test_the_script_with_a_trainer_of_its_own_records_what_it_feeds(
    tiny: BaseModel, cache_dir: Path, tmp_path: Path
) -> None:
    data, key = support.make_dataset(tmp_path / "data", 14), tmp_path / "salt.key"
    key.write_bytes(support.KEY)
    key.chmod(0o600)
    arguments = ("--data", data, "--salt-key", key, "--out", tmp_path / "out", "--cache", cache_dir)
    code, output = children.run(tmp_path, run_script, EXAMPLE, [str(a) for a in arguments])
    assert code == 0, output[-3000:]
    assert "UNMATCHED" not in output
    assert "NOT RECORDING" not in output
    records = read_records(tmp_path / "out" / "provenance" / "journal")
    batches = [r.fields for r in records if r.type == "batch"]
    assert [p for b in batches for p in b["positions"]] == list(range(14))
    assert not any("unmatched" in b for b in batches)
    seed = bytes.fromhex(next(r for r in records if r.type == "seed").fields["seed"][2:])
    leaves = (data / "leaves.bin").read_bytes()
    expected = [
        f"0x{leaves[32 * i : 32 * i + 32].hex()}" for i in epoch_order(seed, 0, 14).tolist()
    ]
    assert [leaf for b in batches for leaf in b["leaves"]] == expected
    assert {r.type for r in records} == {"seed", "batch", "checkpoint", "epoch"}
