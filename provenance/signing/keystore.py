"""The encrypted keystore. Private keys are decrypted here only, and handed on as accounts.

Source: Web3 Secret Storage v3, through eth-account.
"""

from __future__ import annotations

import getpass
import json
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from provenance.causes import cause_of, content_cause
from provenance.durable import write_new_secret
from provenance.errors import AuthError, Conflict, InputError, OutputError
from provenance.ids import HEX_PREFIX, Address, bare_digits

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount


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
    return private_line(file, "password file")


def private_line(file: Path, what: str) -> str:
    """The first line of a file that only its owner can read. No error quotes it.

    Args:
        what: names the file in errors.

    Raises:
        AuthError: it cannot be read, others can read it, or the line is empty or no text.
    """
    try:
        mode = file.stat().st_mode
        data = file.read_bytes()
    except OSError as error:
        raise AuthError(
            f"cannot read {what}", where=str(file), actual=cause_of(error, file)
        ) from error
    if stat.S_IMODE(mode) & 0o077:
        raise AuthError(
            f"{what} can be read by others",
            where=str(file),
            expected="mode 0600",
            actual=oct(stat.S_IMODE(mode)),
            hint=f"chmod 600 {file}",
        )
    try:
        text = data.decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise AuthError(
            f"{what} is not UTF-8 text", where=str(file), actual=content_cause(data)
        ) from error
    if not text or not text[0]:
        raise AuthError(f"{what} is empty", where=str(file))
    return text[0]


def create_key(path: Path, password: str) -> Address:
    """Make a fresh key in a new encrypted keystore file; returns its address.

    Raises:
        Conflict: the file exists.
        OutputError: the file cannot be written.
    """
    from eth_account import Account

    account = Account.create()
    keystore = json.dumps(account.encrypt(password))
    try:
        if path.exists() or path.is_symlink():
            raise Conflict("keystore exists already", where=str(path))
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_new_secret(path, keystore.encode())
    except FileExistsError as error:
        if path.parent.is_dir():
            raise Conflict("keystore exists already", where=str(path)) from error
        raise _unwritable(path, error) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return Address(account.address)


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
    from eth_account import Account  # half a second that only those pay who sign

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
