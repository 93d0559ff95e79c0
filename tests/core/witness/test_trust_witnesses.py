"""The part `witnesses` of a trust file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import ConfigError
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import parse_trust, to_yaml
from provenance_cli.setup.keeping import carried
from tests.core.judgement.test_trust_in_time import trust
from tests.support.core.witnesses import MadeWitness

A, B = (MadeWitness.make(f"witness.example/{name}") for name in "ab")


def naming(*keys: str, needed: object = 1) -> Trust:
    listed = ", ".join(f'"{key}"' for key in keys)
    return trust(f"witnesses: {{needed: {needed}, keys: [{listed}]}}")


def test_witnesses_are_read_and_written() -> None:
    read = naming(A.vkey, B.vkey, needed=2)
    assert read.witnesses is not None
    assert (read.witnesses.keys, read.witnesses.needed) == ((A.key, B.key), 2)
    again = parse_trust(to_yaml(read).encode())
    assert replace(again, digest=read.digest) == read
    assert trust().witnesses is None
    assert "witnesses" not in to_yaml(trust())


@pytest.mark.parametrize(
    "line",
    [
        "witnesses: []",
        "witnesses: {}",
        "witnesses: {needed: 1}",
        f'witnesses: {{keys: ["{A.vkey}"]}}',
        f'witnesses: {{needed: 1, keys: "{A.vkey}"}}',
        f'witnesses: {{needed: 1, keys: ["{A.vkey}"], more: 1}}',
        f'witnesses: {{needed: 0, keys: ["{A.vkey}"]}}',
        f'witnesses: {{needed: 2, keys: ["{A.vkey}"]}}',
        f'witnesses: {{needed: true, keys: ["{A.vkey}"]}}',
        f'witnesses: {{needed: 1, keys: ["{A.vkey}", "{A.vkey}"]}}',
        f'witnesses: {{needed: 1, keys: ["{A.vkey}x"]}}',
        "witnesses: {needed: 1, keys: []}",
        "witnesses: {needed: 1, keys: [7]}",
    ],
)
def test_other_forms_are_refused_and_named(line: str) -> None:
    with pytest.raises(ConfigError, match="witnesses"):
        trust(line)


def test_init_carries_witnesses_and_quorum_into_a_new_file(tmp_path: Path) -> None:
    """Otherwise the next `init` would end what the user requires."""
    old = replace(naming(A.vkey), quorum=2)
    path = tmp_path / "trust.yaml"
    path.write_text(to_yaml(old))
    made = parse_trust(carried(to_yaml(trust()), path).encode())
    assert (made.witnesses, made.quorum) == (old.witnesses, 2)
