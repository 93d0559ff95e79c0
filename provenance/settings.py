"""Where things lie: PROVENANCE_* variables, else the configuration file that `provenance init`
wrote.

Settings are built once at the edge (command line, server) and passed down. Library code never reads
the environment.

The file is `.provenance.yaml` in the current folder or one above it, as git looks for `.git`; else
`config.yaml` in the user's configuration folder. If PROVENANCE_HOME is set, no file is read.

A folder from somebody else may hold a configuration file that names a trust file of theirs. So a
file outside the configuration folder counts only if this user's `init` wrote it. `init` marks each
file that it writes, by path and content, in `known/` in the configuration folder.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from provenance.causes import cause_of, near
from provenance.digest import sha256
from provenance.errors import ConfigError, OutputError
from provenance.text.strict_yaml import load_yaml

CONFIG_NAME = ".provenance.yaml"
CONFIG_FORMAT = "provenance-config/1"
_KEYS = ("home", "cache", "trust", "password_file", "rpc_url", "read_urls")
_MAX_BYTES = 1 << 16


@dataclass(frozen=True)
class Settings:
    """Folders and files of one installation.

    home: keystore, salt key, embedded chain (PROVENANCE_HOME).
    cache: proving keys, decoded base models (PROVENANCE_CACHE); safe to delete, slow to rebuild.
    trust: trust file of PROVENANCE_TRUST, of the configuration file, or `trust.yaml` in the user's
        configuration folder; None if there is none.
    zkprover: PROVENANCE_ZKPROVER, None to use the packaged binary.
    prover: PROVENANCE_PROVER, address of a running `zkprover serve`, or `one-shot`; None to start
        one per command.
    prover_secret: PROVENANCE_PROVER_SECRET, a 0600 file shared with a server that listens on TCP.
    password_file: PROVENANCE_PASSWORD_FILE, a 0600 file with the keystore's password; None to ask
        on a TTY.
    rpc_url: PROVENANCE_RPC_URL, None for the embedded chain.
    memo: PROVENANCE_MEMO, folder of results that verifications keep; None for none (`off`). It is
        no part of the cache: caches are shared and lie in projects, and what is in it is believed.
    read_urls: PROVENANCE_READ_URLS, endpoints with blanks between, whose answers verification
        compares (docs/formats/trust.md); empty to read from `rpc_url` alone.
    """

    home: Path
    cache: Path
    trust: Path | None = None
    zkprover: Path | None = None
    prover: str | None = None
    prover_secret: Path | None = None
    password_file: Path | None = None
    rpc_url: str | None = None
    read_urls: tuple[str, ...] = ()
    memo: Path | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, folder: Path | None = None) -> Settings:
        """Settings of a process.

        Args:
            environ: variables; None for those of this process.
            folder: where the search for a configuration file begins; None for the current folder.

        Raises:
            ConfigError: a configuration file is malformed, or not one that this user's `init`
                wrote.
        """
        env = os.environ if environ is None else environ
        path = find_config(env, folder)
        file = {} if path is None else _read_config(path, env)

        def place(variable: str, key: str = "") -> Path | None:
            text = env.get(variable) or file.get(key)
            if not text:
                return None
            try:
                return Path(text).expanduser().absolute()
            except RuntimeError as error:  # `~name` of somebody whom this machine does not know
                raise ConfigError(
                    "no such user's folder", where=variable, actual=text, hint="write the path out"
                ) from error

        default_trust = config_folder(env) / "trust.yaml"
        return cls(
            home=place("PROVENANCE_HOME", "home") or data_folder(env),
            cache=place("PROVENANCE_CACHE", "cache") or _user_folder(env, "CACHE", ".cache"),
            trust=place("PROVENANCE_TRUST", "trust")
            or (default_trust if default_trust.is_file() else None),
            zkprover=place("PROVENANCE_ZKPROVER"),
            prover=env.get("PROVENANCE_PROVER") or None,
            prover_secret=place("PROVENANCE_PROVER_SECRET"),
            password_file=place("PROVENANCE_PASSWORD_FILE", "password_file"),
            rpc_url=env.get("PROVENANCE_RPC_URL") or file.get("rpc_url"),
            memo=None
            if env.get("PROVENANCE_MEMO") == "off"
            else place("PROVENANCE_MEMO") or _user_folder(env, "STATE", ".local/state") / "memo",
            read_urls=tuple((env.get("PROVENANCE_READ_URLS") or file.get("read_urls", "")).split()),
        )


def _user_folder(env: Mapping[str, str], kind: str, fallback: str) -> Path:
    """Source: XDG Base Directory Specification 0.8."""
    home = Path(env.get("HOME") or "~").expanduser()
    return Path(env.get(f"XDG_{kind}_HOME") or home / fallback) / "provenance"


def data_folder(env: Mapping[str, str]) -> Path:
    """The default of PROVENANCE_HOME."""
    return _user_folder(env, "DATA", ".local/share")


def config_folder(env: Mapping[str, str]) -> Path:
    """The user's configuration folder."""
    explicit = env.get("PROVENANCE_CONFIG")
    if explicit:
        return Path(explicit).expanduser().absolute()
    return _user_folder(env, "CONFIG", ".config")


def find_config(env: Mapping[str, str], folder: Path | None = None) -> Path | None:
    """The configuration file that counts in `folder` (None: the current one), None if none does."""
    if env.get("PROVENANCE_HOME"):
        return None
    try:
        start = (folder or Path.cwd()).absolute()
    except FileNotFoundError as error:
        raise ConfigError("the current folder was deleted", hint="cd into another one") from error
    candidates = [parent / CONFIG_NAME for parent in (start, *start.parents)]
    return next((p for p in [*candidates, user_config(env)] if p.is_file()), None)


def user_config(env: Mapping[str, str]) -> Path:
    """The configuration file for when neither the current folder nor one above it has one."""
    return config_folder(env) / "config.yaml"


def _config_text(settings: Settings) -> str:
    facts = {name: getattr(settings, name) for name in _KEYS}
    facts["read_urls"] = " ".join(settings.read_urls) or None
    shown = {name: str(fact) for name, fact in facts.items() if fact is not None}
    return yaml.safe_dump({"format": CONFIG_FORMAT, **shown}, sort_keys=False)


def write_config(path: Path, settings: Settings, env: Mapping[str, str]) -> None:
    """Write a configuration file, and the mark that says this user wrote it.

    A process that is killed in between leaves the old file, or none.

    Raises:
        OutputError: it cannot be written.
    """
    text = _config_text(settings)
    mark = _mark(path, text.encode(), env)
    temporary = path.with_name(f"{path.name}.new")
    try:
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.write_text(f"{path.absolute()}\n")
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text)
        temporary.replace(path)  # the file counts after this line and not before
    except OSError as error:
        raise OutputError(
            "cannot write configuration file", where=str(path), actual=cause_of(error)
        ) from error


def is_config_of(path: Path, settings: Settings, env: Mapping[str, str]) -> bool:
    """Whether a configuration file is there, counts, and says what `settings` say."""
    text = _config_text(settings).encode()
    return path.is_file() and path.read_bytes() == text and _mark(path, text, env).is_file()


def _mark(path: Path, data: bytes, env: Mapping[str, str]) -> Path:
    """The file whose existence says that this user wrote `data` to `path`."""
    return config_folder(env) / "known" / sha256(f"{path.absolute()}\0".encode() + data).hex()


def _read_config(path: Path, env: Mapping[str, str]) -> dict[str, str]:
    """The entries of a configuration file, which is attacker-controlled until its mark is found."""
    try:
        data = path.read_bytes()[: _MAX_BYTES + 1]
    except OSError as error:
        raise ConfigError(
            "cannot read file", where=str(path), actual=cause_of(error, path)
        ) from error
    if path != user_config(env) and not _mark(path, data, env).is_file():
        raise ConfigError(
            "configuration file was not written by your `provenance init`",
            where=str(path),
            hint="remove it if you do not know it; else run provenance init --home DIR beside it",
        )
    try:
        value = load_yaml(data[:_MAX_BYTES])
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError("not YAML", where=str(path), actual=error) from error
    if not isinstance(value, dict) or value.pop("format", None) != CONFIG_FORMAT:
        raise ConfigError("not a configuration file", where=str(path), expected=CONFIG_FORMAT)
    for name, text in value.items():
        if name not in _KEYS or not isinstance(text, str):
            other = near(str(name), _KEYS) if name not in _KEYS else None
            raise ConfigError(
                "unknown key or not a text",
                where=f"{path} {str(name)[:80]}",
                expected=", ".join(_KEYS),
                hint=f"did you mean {other}?" if other else None,
            )
    return value
