"""Signed heads and tombstones (EIP-712) and the encrypted keystore.

Private keys are decrypted here only, and handed on as accounts that sign.

Source: EIP-712 (typed data), Web3 Secret Storage v3 (keystore) through eth-account.
"""

from __future__ import annotations

import getpass
import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_account.signers.local import LocalAccount
from eth_utils.crypto import keccak

from provenance.causes import cause_of, content_cause
from provenance.errors import AuthError, Conflict, InputError, OutputError, VerificationError
from provenance.ids import HEX_PREFIX, NO_ADDRESS, Address, bare_digits
from provenance.log.record import Record
from provenance.log.records import Tombstone
from provenance.log.tree import Head

_HEAD_TYPE = [
    {"name": "runId", "type": "bytes32"},
    {"name": "size", "type": "uint64"},
    {"name": "root", "type": "bytes32"},
]
_TOMBSTONE_TYPE = [
    {"name": "dataset", "type": "bytes32"},
    {"name": "leaf", "type": "bytes32"},
    {"name": "record", "type": "bytes32"},
]


@dataclass(frozen=True)
class Domain:
    """EIP-712 domain: where the signature counts.

    `registry` is the zero address, and `chain_id` 0, for signatures that belong to no chain.
    """

    chain_id: int
    registry: Address

    def to_json(self) -> dict[str, Any]:
        """The domain in the form of `eth_signTypedData`."""
        return {
            "name": "provenance",
            "version": "1",
            "chainId": self.chain_id,
            "verifyingContract": str(self.registry),
        }


NO_CHAIN = Domain(0, NO_ADDRESS)


def _message(head: Head, domain: Domain) -> Any:
    data = {"runId": head.run_id, "size": head.size, "root": head.root}
    return encode_typed_data(domain.to_json(), {"Head": _HEAD_TYPE}, data)


def sign_head(account: LocalAccount, head: Head, domain: Domain) -> bytes:
    """65-byte signature r || s || v."""
    return bytes(account.sign_message(_message(head, domain)).signature)


def head_digest(head: Head, domain: Domain) -> bytes:
    """What a signature of a head is about: the 32-byte digest of EIP-712."""
    message = _message(head, domain)
    return bytes(keccak(b"\x19" + message.version + message.header + message.body))


def verify_head(head: Head, domain: Domain, signature: bytes, signer: str) -> None:
    """Check a head's signature (all arguments but `signer` and `domain` are attacker-controlled).

    Raises:
        VerificationError: malformed, or made by another key.
    """
    _require_signer("head", lambda: _message(head, domain), signature, signer)


def _require_signer(what: str, message: Callable[[], Any], signature: bytes, signer: str) -> None:
    try:
        actual = Address(Account.recover_message(message(), signature=signature))
    except Exception as error:
        # eth-abi and eth-keys raise several unrelated types on hostile values and signatures.
        raise VerificationError(
            f"{what} signature is malformed", actual=type(error).__name__
        ) from error
    if actual != signer.lower():
        raise VerificationError(
            f"{what} is signed by another key", expected=signer.lower(), actual=actual
        )


def _tombstone_message(record: Record) -> Any:
    tombstone = record.body(Tombstone)
    data = {
        "dataset": tombstone.dataset,
        "leaf": tombstone.leaf,
        "record": bytes(record.digest),
    }
    return encode_typed_data(NO_CHAIN.to_json(), {"Tombstone": _TOMBSTONE_TYPE}, data)


def sign_tombstone(account: LocalAccount, record: Record) -> bytes:
    """65-byte signature r || s || v over a `tombstone` record.

    It counts on every chain: a dataset belongs to none.
    """
    return bytes(account.sign_message(_tombstone_message(record)).signature)


def verify_tombstone(record: Record, signature: bytes, signer: str) -> None:
    """Check a tombstone's signature; raises as `verify_head` does."""
    _require_signer("tombstone", lambda: _tombstone_message(record), signature, signer)


def read_password(file: Path | None, *, prompt: str = "keystore password: ") -> str:
    """The keystore password: first line of a 0600 file, or typed at a terminal.

    Raises:
        AuthError: no file and no terminal, a file others can read, or an empty password.
    """
    if file is None:
        if not sys.stdin.isatty():
            raise AuthError(
                "no keystore password",
                hint="name a 0600 file in PROVENANCE_PASSWORD_FILE or --password-file",
            )
        return getpass.getpass(prompt)
    try:
        mode = file.stat().st_mode
        data = file.read_bytes()
    except OSError as error:
        raise AuthError(
            "cannot read password file", where=str(file), actual=cause_of(error, file)
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise AuthError(
            "password file can be read by others",
            where=str(file),
            expected="mode 0600",
            actual=oct(stat.S_IMODE(mode)),
            hint=f"chmod 600 {file}",
        )
    try:
        text = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AuthError(
            "password file is not UTF-8 text", where=str(file), actual=content_cause(data)
        ) from error
    if not text or not text[0]:
        raise AuthError("password file is empty", where=str(file))
    return text[0]


def create_key(path: Path, password: str) -> Address:
    """Make a fresh key in a new encrypted keystore file; returns its address.

    Raises:
        Conflict: the file exists.
        OutputError: the file cannot be written.
    """
    account = Account.create()
    keystore = json.dumps(account.encrypt(password))
    try:
        if path.exists() or path.is_symlink():
            raise Conflict("keystore exists already", where=str(path))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(path, keystore)
    except FileExistsError as error:
        if path.parent.is_dir():
            raise Conflict("keystore exists already", where=str(path)) from error
        raise _unwritable(path, error) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return Address(account.address)


def _write_new(path: Path, keystore: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(fd, "w") as stream:
            stream.write(keystore)
            stream.flush()
            os.fsync(stream.fileno())
    except OSError:
        path.unlink(missing_ok=True)  # half a keystore would stand in the way of the next one
        raise


def _unwritable(path: Path, error: OSError) -> OutputError:
    return OutputError("cannot write keystore", where=str(path), actual=cause_of(error))


def address_of(path: Path) -> Address:
    """The address of a keystore, which needs no password.

    Raises:
        InputError: missing or malformed keystore.
    """
    text = str(_read_keystore(path)["address"])
    return Address.parse(HEX_PREFIX + bare_digits(text), where=f"{path} address")


def _read_keystore(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(
            "cannot read keystore",
            where=str(path),
            actual=cause_of(error, path),
            hint="make one with: provenance key create",
        ) from error
    try:
        value = json.loads(data)
    except ValueError as error:
        raise InputError(
            "keystore is not JSON", where=str(path), actual=content_cause(data)
        ) from error
    if not isinstance(value, dict) or "address" not in value:
        raise InputError("not a keystore (Web3 Secret Storage v3)", where=str(path))
    return value


def _is_wrong_password(error: Exception) -> bool:
    """Whether the password, and not the file, is what eth-keyfile refuses."""
    return isinstance(error, ValueError) and "mac mismatch" in str(error).lower()


def load_key(path: Path, password: str) -> LocalAccount:
    """Decrypt a keystore.

    Raises:
        InputError: missing or malformed keystore.
        AuthError: wrong password.
    """
    keystore = _read_keystore(path)
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(keystore, password))
    except (KeyError, TypeError, NotImplementedError, ValueError, OverflowError) as error:
        if _is_wrong_password(error):
            raise AuthError("wrong keystore password", where=str(path)) from error
        raise InputError(
            "not a keystore (Web3 Secret Storage v3)", where=str(path), actual=type(error).__name__
        ) from error
    return account
