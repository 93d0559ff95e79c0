"""`provenance witness` before it listens: its key is made once; without one it does not begin."""

from __future__ import annotations

from pathlib import Path

import pytest

from provenance.errors import AuthError, ConfigError, Conflict, InputError
from provenance.judgement.trust_file import to_yaml
from provenance.log.witness.cosignature import WitnessKey
from provenance_cli.judge.witness import witness
from tests.support.memory_run import TRUST


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVENANCE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PROVENANCE_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("PROVENANCE_TRUST", raising=False)
    (tmp_path / "trust.yaml").write_text(to_yaml(TRUST))
    return tmp_path


def test_init_makes_a_key_once_and_prints_its_public_half_alone(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    witness(init="witness.example/w1")
    said = capsys.readouterr()
    folder = home / "home" / "witness"
    assert WitnessKey.parse(said.out.strip()).name == "witness.example/w1"
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    secret = (folder / "key").read_text().strip().split("+", 4)[4]
    assert secret not in said.out + said.err
    with pytest.raises(Conflict, match="key already"):
        witness(init="witness.example/w2")


def test_it_does_not_begin_without_trust_file_folder_or_key(home: Path) -> None:
    with pytest.raises(ConfigError, match="no trust file"):
        witness()
    trust = home / "trust.yaml"
    with pytest.raises(InputError, match="--init"):
        witness(trust=trust)
    (home / "empty" / "heads").mkdir(parents=True)
    with pytest.raises(InputError, match="cannot open file"):
        witness(trust=trust, state=home / "empty")
    witness(init="witness.example/w1", state=home / "open")
    (home / "open" / "key").chmod(0o644)
    with pytest.raises(AuthError, match="chmod 600"):
        witness(trust=trust, state=home / "open")
