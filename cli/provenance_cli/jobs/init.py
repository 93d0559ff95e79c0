"""Tasks of `provenance init`: make what a run and its verification need on this machine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from provenance.chain.anvil import find_anvil
from provenance.chain.deploy import Deployment
from provenance.chain.session import connect, embedded, key_path, load_deployment
from provenance.errors import ConfigError, ProvenanceError
from provenance.layout import write_atomically
from provenance.progress import Progress
from provenance.settings import (
    CONFIG_NAME,
    Settings,
    find_config,
    is_config_of,
    user_config,
    write_config,
)
from provenance.signing.keystore import address_of, create_key, read_password
from provenance_cli.jobs.tasks import Estimate, Task
from provenance_cli.output import note
from provenance_cli.setup.deployment import (
    KeyShape,
    current_deployment,
    deploy_all,
    is_trusted,
    make_keys,
    require_funds,
    trust_text,
)
from provenance_cli.setup.keeping import (
    carried,
    keep,
    next_kept,
    recorded,
    wanted_keys,
)
from provenance_zk.prover.client import find_binary

PASSWORD_BYTES = 24
CONTRACTS_GAS, KEY_GAS = 21_100_000, 330_000  # of all contracts, and of storing one key
# Seconds to make an epoch key, and a tree key, by slots; then of any other key.
_SETUP_S = {256: 1.0, 4_096: 6.0, 20_480: 16.0, 86_016: 60.0, 344_064: 215.0}
_TREE_S = {256: 3.0, 4_096: 40.0}
_OTHER_KEY_S = 6.0


@dataclass(frozen=True)
class InitRequest:
    """What the user asks for; where it is None, init decides.

    home: folder of the installation. If given, the configuration file is written to the current
        folder.
    records, weight_keys: as for `wanted_keys`.
    """

    home: Path | None = None
    rpc_url: str | None = None
    records: int | None = None
    password_file: Path | None = None
    cache: Path | None = None
    key: str = "default"
    weight_keys: str | None = None


class InitJob:
    """Makes one installation, or completes it."""

    def __init__(self, request: InitRequest, env: Mapping[str, str]) -> None:
        """Decide where everything goes; nothing is written.

        Raises:
            ConfigError: there are no keys of such a shape, or PROVENANCE_HOME names another home.
        """
        self._env, self._key = env, request.key
        self.settings = _settled(request, env)
        self.config = _config_path(request, env)
        self.wanted = wanted_keys(request.records, request.weight_keys, recorded(self.settings))

    def check(self) -> None:
        """Check what can be checked before anything is made.

        Raises:
            AuthError: the password file is there, and cannot be used.
            UnavailableError: prover, anvil or the given chain is missing.
        """
        if self._password.exists():
            read_password(self._password)
        find_binary(self.settings.zkprover)
        if self.settings.rpc_url is None:
            find_anvil()
        else:
            connect(self.settings, note).chain_id()

    def tasks(self) -> list[Task]:
        """The tasks in order, from the password file to the trust file."""
        keys, gas = len(self.wanted.shapes), CONTRACTS_GAS + len(self.wanted.shapes) * KEY_GAS
        setup = Estimate(seconds=sum(map(_setup_s, self.wanted.shapes)))
        configuration = [Task("configuration", self._is_configured, self._configure)]
        if self.config is None:  # variables say where things are
            configuration = []
        return [
            Task("password file", self._password.is_file, self._make_password),
            Task("signing key", self._has_key, self._make_key),
            *configuration,
            Task("chain", self._chain_runs, self._start_chain),
            Task("proving keys", self._has_keys, self._make_keys, setup),
            Task("contracts", self._is_deployed, self._deploy, Estimate(keys + 5, gas, 3.0)),
            Task("trust file", self._is_trusted, self._write_trust),
        ]

    def made(self) -> dict[str, Any]:
        """The finished installation, as the command prints it."""
        deployment = load_deployment(self.settings)
        return {
            "format": "provenance-init/1",
            "home": str(self.settings.home),
            "cache": str(self.settings.cache),
            "configuration": None if self.config is None else str(self.config),
            "password_file": str(self._password),
            "key": str(key_path(self.settings, self._key)),
            "address": self._address,
            "chain": connect(self.settings).url,
            "chain_id": deployment.chain_id,
            "registry": deployment.registry,
            "ledger": deployment.ledger,
            "audits": deployment.audits,
            "models": deployment.models,
            "attestations": deployment.attestations,
            "trust": str(self._trust),
        }

    @property
    def _password(self) -> Path:
        return self.settings.password_file or self.settings.home / "password"

    @property
    def _trust(self) -> Path:
        return self.settings.trust or self.settings.home / "trust.yaml"

    @cached_property
    def _address(self) -> str:
        return address_of(key_path(self.settings, self._key))

    def _make_password(self, _: Progress) -> str:
        self.settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomically(
            self._password, f"{secrets.token_urlsafe(PASSWORD_BYTES)}\n".encode(), 0o600
        )
        return f"random, {self._password}, readable by you only"

    def _has_key(self) -> bool:
        path = key_path(self.settings, self._key)
        return path.is_file() and path.stat().st_size > 0

    def _make_key(self, _: Progress) -> str:
        path = key_path(self.settings, self._key)
        # An empty file: a process was killed before it wrote the key, so no account was ever used.
        path.unlink(missing_ok=True)
        return f"{create_key(path, read_password(self._password)).lower()}, {path}"

    def _is_configured(self) -> bool:
        return self.config is not None and is_config_of(self.config, self.settings, self._env)

    def _configure(self, _: Progress) -> str:
        if self.config is None:
            return "by variables"
        write_config(self.config, self.settings, self._env)
        return str(self.config)

    def _chain_runs(self) -> bool:
        """Whether the embedded chain runs. A chain of the user's (--rpc) counts as running, because
        `check` reached it; here the owner must be able to pay on it.

        Raises:
            UnavailableError: the owner's account has no funds on the user's chain.
        """
        if self.settings.rpc_url is None:
            return embedded(self.settings).running() is not None
        require_funds(connect(self.settings, note), self._address)
        return True

    def _start_chain(self, _: Progress) -> str:
        return f"embedded, {embedded(self.settings).up().url}"

    def _has_keys(self) -> bool:
        return self.wanted.are_cached(self.settings.cache / "keys")

    def _make_keys(self, progress: Progress) -> str:
        keys = make_keys(self.settings, self.wanted, progress)
        return f"{len(keys)} development keys, {self.settings.cache / 'keys'}"

    def _current(self) -> Deployment | None:
        try:
            return current_deployment(self.settings, connect(self.settings))
        except ProvenanceError:
            return None  # no chain yet, so nothing is deployed

    def _is_deployed(self) -> bool:
        current = self._current()
        if current is None:
            return False
        pinned = {(k.kind, k.slots, k.depth) for k in current.keys}
        return set(self.wanted.shapes) <= pinned

    def _deploy(self, progress: Progress) -> str:
        if self._current() is not None:  # said before it happens, for the process may be killed
            file = next_kept(self._trust).name if self._trust.exists() else "of that time"
            progress(
                "warning: contracts are deployed anew: releases verified by the old ones need "
                f"the trust file kept as {file}"
            )
        deployment = deploy_all(self.settings, self.wanted, progress, self._key)
        return f"registry {deployment.registry}, ledger {deployment.ledger}"

    def _is_trusted(self) -> bool:
        current = self._current()
        return current is not None and is_trusted(self._trust, current, self._address)

    def _write_trust(self, _: Progress) -> str:
        kept = f"; the previous one is kept as {keep(self._trust)}" if self._trust.exists() else ""
        text = trust_text(self.settings, load_deployment(self.settings), self._key)
        write_atomically(self._trust, carried(text, self._trust).encode())
        return f"{self._trust}{kept}"


def _setup_s(shape: KeyShape) -> float:
    """Seconds to make a key of this shape on two CPU cores."""
    kind, slots, _ = shape
    table = {"epoch": _SETUP_S, "tree": _TREE_S}.get(kind, {})
    return table.get(slots, _OTHER_KEY_S)


def _settled(request: InitRequest, env: Mapping[str, str]) -> Settings:
    """The settings of the installation, with init's own choice where nothing is given."""
    home = _absolute(request.home)
    named = env.get("PROVENANCE_HOME")
    if home is not None and named and _absolute(Path(named)) != home:
        raise ConfigError(
            "PROVENANCE_HOME names another home than --home, and later commands would use that one",
            expected=home,
            actual=named,
            hint="unset PROVENANCE_HOME, or leave --home out",
        )
    found = Settings.load(env) if home is None else _of_home(home, env)
    home = home or found.home
    return replace(
        found,
        home=home,
        cache=_absolute(request.cache) or found.cache,
        rpc_url=request.rpc_url or found.rpc_url,
        password_file=_absolute(request.password_file) or found.password_file or home / "password",
        trust=_trust_of(found, home, env),
    )


def _of_home(home: Path, env: Mapping[str, str]) -> Settings:
    """Settings of the configuration file found here, if it names this home; else of variables."""
    try:
        found = Settings.load(env)
    except ConfigError:
        found = None  # not written by this user's init: replaced, as its error message says
    if found is not None and found.home == home:
        return found
    cache = env.get("PROVENANCE_CACHE") or str(home / "cache")
    return Settings.load({**env, "PROVENANCE_HOME": str(home), "PROVENANCE_CACHE": cache})


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.expanduser().resolve()


def _trust_of(found: Settings, home: Path, env: Mapping[str, str]) -> Path | None:
    """`trust.yaml` in the home, unless a variable or the configuration file names another file.

    The user's default trust file is never written: it may be about other installations too.
    """
    default = user_config(env).with_name("trust.yaml")
    is_own = found.trust is not None and found.trust != default
    return found.trust if is_own else home / "trust.yaml"


def _config_path(request: InitRequest, env: Mapping[str, str]) -> Path | None:
    if env.get("PROVENANCE_HOME"):
        return None
    if request.home is not None:
        return Path.cwd() / CONFIG_NAME
    return find_config(env) or user_config(env)


def init_job(request: InitRequest) -> InitJob:
    """The job, with the variables of this process."""
    return InitJob(request, os.environ)
