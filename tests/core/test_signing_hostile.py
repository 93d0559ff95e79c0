"""Head signatures and keystores: another key, another place, another head, and files that others
can read.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from provenance.chain.session import key_path
from provenance.errors import (
    AuthError,
    ConfigError,
    Conflict,
    InputError,
    OutputError,
    VerificationError,
)
from provenance.ids import Address, to_hex
from provenance.log.tree import Head
from provenance.settings import Settings
from provenance.signing import Domain, sign_head, verify_head
from provenance.signing.keystore import address_of, create_key, load_key, read_password
from tests.support.places import VECTORS

ACCOUNT = Account.from_key(b"\x01" * 32)
ADDRESS = ACCOUNT.address.lower()
HEAD = Head(bytes(range(32)), 7, b"\x07" * 32)
DOMAIN = Domain(31337, "0x" + "ab" * 20)
# RFC 6979 makes the signature of a key the same each time; the vector file holds it.
FROZEN = sign_head(ACCOUNT, HEAD, DOMAIN)


def test_the_signed_bytes_are_those_of_eip_712() -> None:
    """EIP-712 by hand: keccak(0x1901 || domain separator || struct hash)."""
    from eth_utils.crypto import keccak

    def word(value: int) -> bytes:
        return value.to_bytes(32, "big")

    domain_type = (
        b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    )
    separator = keccak(
        keccak(domain_type)
        + keccak(b"provenance")
        + keccak(b"1")
        + word(31337)
        + bytes(12)
        + b"\xab" * 20
    )
    struct = keccak(
        keccak(b"Head(bytes32 runId,uint64 size,bytes32 root)") + HEAD.run_id + word(7) + HEAD.root
    )
    assert (
        Account._recover_hash(keccak(b"\x19\x01" + separator + struct), signature=FROZEN)
        == ACCOUNT.address
    )


@given(
    run_id=st.binary(min_size=32, max_size=32),
    size=st.integers(0, 2**64 - 1),
    root=st.binary(min_size=32, max_size=32),
    chain_id=st.integers(0, 2**256 - 1),
    registry=st.binary(min_size=20, max_size=20),
)
def test_wallets_sign_the_same_bytes(
    run_id: bytes, size: int, root: bytes, chain_id: int, registry: bytes
) -> None:
    """eth-account makes the digest from the types, as any wallet does (`eth_signTypedData`)."""
    domain = {
        "name": "provenance",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": to_hex(registry),
    }
    names = {"runId": "bytes32", "size": "uint64", "root": "bytes32"}
    types = {"Head": [{"name": name, "type": kind} for name, kind in names.items()]}
    message = encode_typed_data(domain, types, {"runId": run_id, "size": size, "root": root})
    head, place = Head(run_id, size, root), Domain(chain_id, Address(to_hex(registry)))
    assert sign_head(ACCOUNT, head, place) == bytes(ACCOUNT.sign_message(message).signature)


def test_the_bare_recovery_id_is_taken_and_that_of_a_transaction_is_not() -> None:
    v = FROZEN[64] - 27
    verify_head(HEAD, DOMAIN, FROZEN[:64] + bytes([v]), ADDRESS)
    with pytest.raises(VerificationError, match="malformed"):
        verify_head(HEAD, DOMAIN, FROZEN[:64] + bytes([37 + v]), ADDRESS)  # EIP-155


def test_the_signature_of_a_fixed_key_is_frozen() -> None:
    vector = json.loads((VECTORS / "head_signature.json").read_text())
    assert vector == {
        "key": "01" * 32,
        "address": ADDRESS,
        "run_id": HEAD.run_id.hex(),
        "size": 7,
        "root": HEAD.root.hex(),
        "chain_id": 31337,
        "registry": DOMAIN.registry,
        "signature": FROZEN.hex(),
    }


def test_a_signature_verifies() -> None:
    verify_head(HEAD, DOMAIN, FROZEN, ADDRESS)
    verify_head(HEAD, DOMAIN, FROZEN, ACCOUNT.address)


@pytest.mark.parametrize(
    ("head", "domain"),
    [
        (replace(HEAD, run_id=bytes(32)), DOMAIN),
        (replace(HEAD, size=8), DOMAIN),
        (replace(HEAD, root=bytes(32)), DOMAIN),
        (HEAD, replace(DOMAIN, chain_id=1)),
        (HEAD, replace(DOMAIN, registry="0x" + "ac" * 20)),
    ],
    ids=["run", "size", "root", "chain", "registry"],
)
def test_a_signature_counts_for_one_head_chain_and_registry(head: Head, domain: Domain) -> None:
    with pytest.raises(VerificationError, match="another key"):
        verify_head(head, domain, FROZEN, ADDRESS)


def test_a_head_signed_by_another_key_is_refused() -> None:
    other = Account.from_key(b"\x02" * 32)
    with pytest.raises(VerificationError, match="another key") as caught:
        verify_head(HEAD, DOMAIN, sign_head(other, HEAD, DOMAIN), ADDRESS)
    assert (caught.value.expected, caught.value.actual) == (ADDRESS, other.address.lower())


@pytest.mark.parametrize(
    "signature",
    [
        b"",
        b"\x00" * 65,
        b"\xff" * 65,
        FROZEN[:-1],
        FROZEN + b"\x00",
        FROZEN[:64] + b"\x05",
        bytes(32) + FROZEN[32:],
        b"\x00" * 10_000,
    ],
    ids=[
        "empty",
        "zeros",
        "ones",
        "a byte less",
        "a byte more",
        "wrong recovery byte",
        "r is zero",
        "10,000 zeros",
    ],
)
def test_malformed_signatures_are_refused(signature: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_head(HEAD, DOMAIN, signature, ADDRESS)


@pytest.mark.parametrize(
    "head",
    [
        replace(HEAD, size=2**64),
        replace(HEAD, size=-1),
        replace(HEAD, run_id=HEAD.run_id[:31]),
        replace(HEAD, root=HEAD.root + b"\0"),
        # The members' bytes in a row are those of HEAD, cut in other places.
        replace(HEAD, run_id=HEAD.run_id + bytes(31), size=7 << 8, root=HEAD.root[1:]),
    ],
    ids=["size", "below 0", "short run id", "long root", "cut elsewhere"],
)
def test_a_head_that_no_contract_could_hold_is_refused(head: Head) -> None:
    with pytest.raises(VerificationError, match="malformed"):
        verify_head(head, DOMAIN, FROZEN, ADDRESS)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("secret\nignored\n")
    file.chmod(0o600)
    return file


def test_the_password_is_the_first_line(password: Path) -> None:
    assert read_password(password) == "secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o611])
def test_a_password_that_others_can_read_is_refused(password: Path, mode: int) -> None:
    password.chmod(mode)
    with pytest.raises(AuthError, match="read by others"):
        read_password(password)


@pytest.mark.parametrize("text", ["", "\n", "\nsecond"])
def test_an_empty_password_is_refused(password: Path, text: str) -> None:
    password.write_text(text)
    with pytest.raises(AuthError, match="empty"):
        read_password(password)


def test_a_missing_password_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AuthError, match="cannot read"):
        read_password(tmp_path / "none")


def test_without_a_terminal_no_password_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    with pytest.raises(AuthError, match="no keystore password"):
        read_password(None)


def test_a_key_file_is_private_and_opens_with_its_password_only(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "default.json"
    address = create_key(path, "secret")
    assert (path.stat().st_mode & 0o777, address_of(path)) == (0o600, address)
    assert load_key(path, "secret").address.lower() == address
    with pytest.raises(AuthError, match="wrong keystore password"):
        load_key(path, "Secret")
    with pytest.raises(Conflict, match="exists already"):
        create_key(path, "secret")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "1",
        '{"address": "0x00"}',
        '{"address": "00", "crypto": 5, "version": 3}',
        "\x00",
    ],
)
def test_what_is_no_keystore_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "key.json").write_text(text)
    with pytest.raises((InputError, AuthError)):
        load_key(tmp_path / "key.json", "secret")


def test_a_missing_keystore_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read keystore"):
        load_key(tmp_path / "none", "x")


def test_a_damaged_keystore_is_not_blamed_on_the_password(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    create_key(path, "secret")
    value = json.loads(path.read_text())
    value["crypto"]["ciphertext"] = "zz"
    path.write_text(json.dumps(value))
    with pytest.raises(InputError, match="not a keystore"):
        load_key(path, "secret")


def test_a_keystore_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="is a file, not a folder"):
        create_key(tmp_path / "file" / "default.json", "secret")
    with pytest.raises(OutputError, match="is a file, not a folder"):
        create_key(tmp_path / "file" / "keys" / "default.json", "secret")


def test_a_password_that_is_no_text_is_refused(password: Path) -> None:
    password.write_bytes("geheim".encode("utf-16"))
    with pytest.raises(AuthError, match="UTF-16"):
        read_password(password)


@pytest.mark.parametrize("name", ["../other", "a/b", "", ".hidden", "x" * 65, "a\0b"])
def test_a_key_name_is_no_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="not the name of a key"):
        key_path(Settings(tmp_path, tmp_path), name)


def test_a_home_of_nobody_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigError, match="no such user's folder"):
        Settings.load({"PROVENANCE_HOME": "~nobody-of-this-name/home"})


# Settings


def test_settings_come_from_the_given_environment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # `make demo` leaves a configuration file in the repository
    settings = Settings.load({"HOME": str(tmp_path)})
    assert settings == Settings(
        tmp_path / ".local/share/provenance",
        tmp_path / ".cache/provenance",
        memo=tmp_path / ".local/state/provenance/memo",
    )


def test_results_are_kept_in_no_project_and_no_cache(tmp_path: Path) -> None:
    """Caches are shared, and come with a project: what is in there nobody may believe."""
    config = {"HOME": str(tmp_path), "PROVENANCE_CACHE": str(tmp_path / "project/.state/cache")}
    memo = Settings.load(config | {"XDG_STATE_HOME": str(tmp_path / "state")}).memo
    assert memo == tmp_path / "state/provenance/memo"
    assert Settings.load(config | {"PROVENANCE_MEMO": "off"}).memo is None


def test_each_variable_has_its_setting(tmp_path: Path) -> None:
    paths = ("home", "cache", "trust", "zkprover", "prover_secret", "password_file", "memo")
    texts = {"prover": "unix:/run/prover", "rpc_url": "http://127.0.0.1:1"}
    env = {f"PROVENANCE_{n.upper()}": str(tmp_path / n) for n in paths} | {
        f"PROVENANCE_{n.upper()}": v for n, v in texts.items()
    }
    expected: dict[str, Any] = {n: tmp_path / n for n in paths} | texts
    assert Settings.load(env) == Settings(**expected)


def test_a_trust_file_in_the_configuration_folder_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trust = tmp_path / ".config" / "provenance" / "trust.yaml"
    trust.parent.mkdir(parents=True)
    trust.touch()
    assert Settings.load({"HOME": str(tmp_path)}).trust == trust


def test_a_trust_file_in_the_working_directory_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trust.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert Settings.load({"HOME": str(tmp_path / "home")}).trust is None
