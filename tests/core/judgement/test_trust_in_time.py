"""Old trust files and endpoints that stand still: both could hide that somebody lost trust."""

from __future__ import annotations

import datetime
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import ConfigError, UnavailableError
from provenance.judgement.facts import BlockRef
from provenance.judgement.trust import MAX_AGE_S, Trust
from provenance.judgement.trust_file import parse_trust, to_yaml
from provenance.judgement.verdict import Status
from provenance.settings import Settings
from provenance.text.strict_yaml import load_yaml
from provenance_cli.judge.editions import FILE, require_no_rollback
from tests.support.memory_run import MemoryRun

NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
HASH = "0x" + "cd" * 32


def trust(*lines: str, chain: int = 1) -> Trust:
    contract = f'{{address: "0x{"ab" * 20}", code_hash: "{HASH}"}}'
    text = (
        "format: provenance-trust/1",
        "environment: production",
        f'chain: {{id: {chain}, genesis: "{HASH}"}}',
        f"contracts: {{registry: {contract}, ledger: {contract}}}",
        "keys: []",
        "publishers: []",
        *lines,
    )
    return parse_trust("\n".join(text).encode())


def block(age_s: int) -> BlockRef:
    return BlockRef(7, bytes(32), int(NOW.timestamp()) - age_s)


def test_what_a_file_says_about_time_is_read_and_written() -> None:
    read = trust("version: 3", "expires: 2027-01-01T00:00:00Z", "max_age: 600")
    assert (read.version, read.max_age_s) == (3, 600)
    assert read.expires == datetime.datetime(2027, 1, 1, tzinfo=datetime.UTC)
    again = parse_trust(to_yaml(read).encode())
    assert replace(again, digest=read.digest) == read
    plain = trust()
    assert (plain.version, plain.expires, plain.max_age_s) == (1, None, MAX_AGE_S)


@pytest.mark.parametrize(
    "line",
    [
        "version: 0",
        "version: two",
        "version: true",
        "max_age: 0",
        "max_age: 1h",
        "expires: 2027-01-01",
        "expires: 2027-01-01T00:00:00",
        "expires: soon",
        "expires: 5",
        "expires: 0001-01-01T00:00:00+23:00",
        "expires: '9999-12-31T23:59:59-23:59'",
    ],
)
def test_nonsense_about_time_is_refused(line: str) -> None:
    with pytest.raises(ConfigError) as refused:
        trust(line)
    assert line.partition(":")[0] in str(refused.value.where)


def test_an_expired_file_judges_nothing() -> None:
    read = trust("expires: 2026-06-01T00:00:00Z")
    read.require_current(block(0), NOW - datetime.timedelta(seconds=1))
    with pytest.raises(UnavailableError, match="expired"):
        read.require_current(block(0), NOW)


def test_an_endpoint_that_stands_still_is_not_believed() -> None:
    trust("max_age: 600").require_current(block(600), NOW)
    with pytest.raises(UnavailableError, match="too old"):
        trust("max_age: 600").require_current(block(601), NOW)
    with pytest.raises(UnavailableError, match="too old"):
        trust().require_current(block(MAX_AGE_S + 1), NOW)


def test_a_verdict_says_so_instead_of_verified() -> None:
    run = MemoryRun()
    assert run.judge().status is Status.VERIFIED
    run.trust = replace(run.trust, max_age_s=60)
    verdict = run.judge()
    assert (verdict.status, verdict.exit_code) == (Status.INDETERMINATE, 3)
    assert "too old" in verdict.reason
    run.trust = replace(run.trust, max_age_s=None, expires=NOW - datetime.timedelta(days=9000))
    assert "expired" in run.judge().reason


@pytest.mark.parametrize("chain", [1337, 31337])
def test_a_development_chain_is_local_whatever_the_file_says(chain: int) -> None:
    assert trust(chain=chain).environment == "local"
    assert trust(chain=1).environment == "production"


def test_an_older_edition_is_refused_until_it_is_asked_for(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    old, new = trust("version: 2"), trust("version: 3")
    require_no_rollback(old, settings)
    require_no_rollback(new, settings)
    require_no_rollback(new, settings)
    with pytest.raises(ConfigError, match="older edition") as refused:
        require_no_rollback(old, settings)
    assert (refused.value.expected, refused.value.actual) == ("version 3 or later", "version 2")
    require_no_rollback(old, settings, allowed=True)
    with pytest.raises(ConfigError):
        require_no_rollback(old, settings)
    require_no_rollback(trust("version: 1", chain=5), settings)  # another chain's file


def test_a_home_that_cannot_be_written_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "home").write_text("a file")
    settings = Settings(home=tmp_path / "home", cache=tmp_path / "cache")
    require_no_rollback(trust("version: 2"), settings)
    assert "rollback of the trust file will not be noticed" in capsys.readouterr().err
    assert not (tmp_path / "home" / FILE).exists()


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3", "a: {b: 1, b: 2}", "[{x: 1, x: 1}]"])
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(Exception, match="stands twice"):
        load_yaml(text)
    assert load_yaml("a: &x {b: 1}\nc: {<<: *x, b: 2}") == {"a": {"b": 1}, "c": {"b": 2}}


def test_two_lists_of_publishers_are_not_one_of_them() -> None:
    """The last one would win, and a reader of the file may have looked at the first one only."""
    with pytest.raises(ConfigError, match="not YAML") as refused:
        trust("publishers: []")
    assert "publishers stands twice" in str(refused.value.actual)
