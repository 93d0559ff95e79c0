"""The ceremony page's commands make a key, and its tables are the code's."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.documents import ROOT, blocks, code, table

PAGE = ROOT / "docs" / "formats" / "ceremony.md"
STEPS = ("begin", "phase 1", "phase 2", "verify")


def commands(step: str) -> list[str]:
    (block,) = (b for b in blocks(PAGE) if b.marker == f"ceremony: {step}")
    return block.text.replace("\\\n", " ").splitlines()


def run(command: str, folder: Path, cache: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PROVENANCE_")}
    env = kept | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PROVENANCE_HOME": str(folder / "home"),
        "PROVENANCE_CACHE": str(folder / cache),
    }
    return subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def ceremony(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which all commands of the page ran but the last."""
    folder = tmp_path_factory.mktemp("ceremony")
    for step in STEPS[:-1]:
        for command in commands(step):
            done = run(command, folder, "coordinator")
            assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
            assert step == "verify" or "next:" in done.stdout
    return folder


def test_another_machine_gets_the_same_key(ceremony: Path) -> None:
    (command,) = commands("verify")
    done = run(f"{command} --json", ceremony, "verifier")
    assert done.returncode == 0, done.stderr
    checked = json.loads(done.stdout)
    assert checked["contributions"] == [["Ada", "Berta", "Cem"]] * 2
    (made,) = (ceremony / "coordinator" / "keys").glob("ceremony-*")
    (got,) = (ceremony / "verifier" / "keys").glob("ceremony-*")
    assert made.name == got.name == checked["transcript"].replace("sha256:", "ceremony-")
    assert all((got / f.name).read_bytes() == f.read_bytes() for f in made.iterdir())
    shown = json.loads(
        run(f"provenance keys inspect {checked['vk_id']} --json", ceremony, "verifier").stdout
    )
    assert (shown["class"], shown["transcript"], shown["vk_id"]) == (
        "ceremony",
        checked["transcript"],
        checked["vk_id"],
    )


def attested(folder: Path, *phases: int) -> subprocess.CompletedProcess[str]:
    """Verify with one attested contribution of each of these phases."""
    digests = [
        hashlib.sha256((folder / "transcript" / f"phase{p}-002.bin").read_bytes()).hexdigest()
        for p in phases
    ]
    options = " ".join(f"--attested sha256:{digest}" for digest in digests)
    return run(
        f"provenance keys ceremony verify transcript --min 3 {options} --json", folder, "none"
    )


@pytest.mark.parametrize("phases", [(), (1,), (2,), (1, 2), (2, 2)])
def test_a_phase_without_an_attested_contribution_is_said(
    ceremony: Path, phases: tuple[int, ...]
) -> None:
    done = attested(ceremony, *phases)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["attested"] == [int(p in phases) for p in (1, 2)]
    for phase in (1, 2):
        said = f"phase {phase} has no attested contribution" in done.stderr
        assert said == (phase not in phases)


def test_a_development_key_does_not_follow_from_the_transcript(ceremony: Path) -> None:
    made = json.loads(
        run("provenance keys setup --kind epoch --slots 16 --json", ceremony, "other").stdout
    )
    assert (made["class"], made["transcript"]) == ("dev", None)
    done = run(
        f"provenance keys ceremony verify transcript --min 3 --key {made['path']}",
        ceremony,
        "other",
    )
    assert done.returncode == 1
    assert "which the transcript gives" in done.stderr


def test_demanding_more_contributions_than_there_are_is_refused(ceremony: Path) -> None:
    done = run("provenance keys ceremony verify transcript --min 4 --store", ceremony, "four")
    assert done.returncode == 2
    assert "contributions of phase 1, expected at least 4, actual 3" in done.stderr
    assert not (ceremony / "four" / "keys").exists()


def test_the_manifest_has_the_keys_of_the_page(ceremony: Path) -> None:
    manifest = json.loads((ceremony / "transcript" / "manifest.json").read_text())
    shown = {
        name for row in table(PAGE, "`manifest.json` has one encoding") for name in code(row[0])
    }
    assert set(manifest) | set(manifest["phase1"]) == shown
    files = {p.name for p in (ceremony / "transcript").iterdir() if not p.name.startswith(".")}
    assert files == {"manifest.json", *(f"phase{p}-{i:03}.bin" for p in (1, 2) for i in range(4))}


def test_the_header_has_the_offsets_of_the_page(ceremony: Path) -> None:
    data = (ceremony / "transcript" / "phase2-003.bin").read_bytes()
    fields = {
        int(offset): int(size)
        for offset, size, _ in table(PAGE, "A state file:")
        if offset.isdigit() and size.isdigit()
    }
    values = {offset: data[offset : offset + size] for offset, size in fields.items()}
    manifest = json.loads((ceremony / "transcript" / "manifest.json").read_text())
    assert values[0] == b"provenance-mpc/2"
    assert [int.from_bytes(values[o], "big") for o in (16, 17, 19, 20, 24, 60)] == [
        2,
        3,
        1,
        16,
        0,
        3,
    ]
    assert values[28].hex() == manifest["circuitDigest"].removeprefix("sha256:")
    assert data[61:64] == b"Cem"
