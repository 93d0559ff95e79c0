"""Where things live.

Built once at the edge (command line, server) and passed down; library code never reads the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """Folders and files of one installation.

    home: keystore, salt key, embedded chain (PROVENANCE_HOME).
    cache: proving keys, decoded base models (PROVENANCE_CACHE); safe to delete, slow to rebuild.
    trust: trust file of PROVENANCE_TRUST or the user's configuration folder; None if neither
    exists.
    zkprover: PROVENANCE_ZKPROVER, None to use the packaged binary.
    prover: PROVENANCE_PROVER, address of a running `zkprover serve`, or `one-shot`; None to start
    one per command.
    prover_secret: PROVENANCE_PROVER_SECRET, a 0600 file shared with a server that listens on TCP.
    password_file: PROVENANCE_PASSWORD_FILE, a 0600 file with the keystore's password; None to ask
    on a TTY.
    rpc_url: PROVENANCE_RPC_URL, None for the embedded chain.
    """

    home: Path
    cache: Path
    trust: Path | None = None
    zkprover: Path | None = None
    prover: str | None = None
    prover_secret: Path | None = None
    password_file: Path | None = None
    rpc_url: str | None = None

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Settings:
        env = os.environ if environ is None else environ

        def base(variable: str, xdg: str, fallback: str) -> Path:
            if env.get(variable):
                return Path(env[variable]).expanduser().absolute()
            root = env.get(xdg) or str(Path(env.get("HOME", "~")).expanduser() / fallback)
            return Path(root) / "provenance"

        def file(variable: str) -> Path | None:
            return Path(env[variable]).expanduser().absolute() if env.get(variable) else None

        default_trust = base("PROVENANCE_CONFIG", "XDG_CONFIG_HOME", ".config") / "trust.yaml"
        return cls(
            home=base("PROVENANCE_HOME", "XDG_DATA_HOME", ".local/share"),
            cache=base("PROVENANCE_CACHE", "XDG_CACHE_HOME", ".cache"),
            trust=file("PROVENANCE_TRUST") or (default_trust if default_trust.is_file() else None),
            zkprover=file("PROVENANCE_ZKPROVER"),
            prover=env.get("PROVENANCE_PROVER") or None,
            prover_secret=file("PROVENANCE_PROVER_SECRET"),
            password_file=file("PROVENANCE_PASSWORD_FILE"),
            rpc_url=env.get("PROVENANCE_RPC_URL") or None,
        )
