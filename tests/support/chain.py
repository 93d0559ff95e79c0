"""A laboratory: an embedded chain on a port of its own, keys of 256 slots, both contracts, and
accounts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eth_account import Account

from provenance.chain.anvil import EmbeddedChain
from provenance.chain.contracts import Reader
from provenance.chain.deploy import Deployment
from provenance.chain.session import Session, embedded
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.judgement.verdict import Verdict
from provenance.settings import Settings
from provenance.verify import Options, Verifier, verify
from provenance.verify.protocols import Difference
from provenance.verify.sources.evidence import FolderSource
from provenance_cli.setup.deployment import Wanted, deploy_all, write_trust
from provenance_zk.checker import Engine, ProofChecker, ProverEngine
from provenance_zk.prover.client import ZkProver, find_binary
from provenance_zk.prover.keys import find_key
from provenance_zk.training.registration import Keys
from tests.support.places import REPO

PASSWORD = "not a secret"
SALT_KEY = bytes(range(32))

# The tiny model's adapted tensors have one and two levels above their pages.
TINY_MODEL_KEYS = "q8_0:1,q8_0:2,int8:1,int8:2,merge:1:8,merge:2:8"


def cache_folder() -> Path:
    """Where proving keys are shared between test runs."""
    return Path(os.environ.get("PROVENANCE_TEST_CACHE") or REPO / "build" / "test-cache").absolute()


def write_keystore(path: Path, private_key: bytes) -> None:
    """A keystore with a cheap derivation: the real one takes a second to open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(Account.encrypt(private_key, PASSWORD, kdf="pbkdf2", iterations=1000))
    )
    path.chmod(0o600)


class FixedInspector:
    """A `FormatInspector` whose answers are given."""

    def __init__(self, metadata: Mapping[str, str] | None = None) -> None:
        self._metadata = metadata or {}

    def metadata(self, path: Path) -> Mapping[str, str]:
        return self._metadata

    def quantization(self, path: Path) -> str | None:
        return "Q8_0"

    def exactness(self, quantization: str) -> str:
        return "bit by bit"

    def compare_quantized(self, merged: Path, path: Path) -> list[Difference]:
        return []

    def compare_merged(self, base: Path, adapter: Path, merged: Path) -> list[Difference]:
        return []


@dataclass
class Lab:
    settings: Settings
    deployment: Deployment
    prover: ZkProver
    keys: Keys
    trust_file: Path
    _sessions: dict[str, Session] = field(default_factory=dict)

    @classmethod
    def start(cls, folder: Path) -> Lab:
        password = folder / "password"
        password.write_text(PASSWORD + "\n")
        password.chmod(0o600)
        explicit = os.environ.get("PROVENANCE_ZKPROVER")
        settings = Settings(
            home=folder / "home",
            cache=cache_folder(),
            password_file=password,
            zkprover=Path(explicit) if explicit else None,
        )
        settings.cache.mkdir(parents=True, exist_ok=True)
        write_keystore(settings.home / "keystore" / "default.json", b"\x01" * 32)
        embedded(settings).up()
        deployment = deploy_all(settings, Wanted(256), lambda _: None)
        trust = folder / "trust.yaml"
        write_trust(settings, deployment, trust, "default")
        keys = Keys(
            find_key(settings.cache / "keys", bytes.fromhex(deployment.key("epoch").vk_id[2:])),
            find_key(
                settings.cache / "keys", bytes.fromhex(deployment.key("tree", depth=5).vk_id[2:])
            ),
        )
        return cls(
            settings,
            deployment,
            ZkProver(find_binary(settings.zkprover), timeout_s=300),
            keys,
            trust,
        )

    @property
    def chain(self) -> EmbeddedChain:
        return embedded(self.settings)

    @property
    def trust(self) -> Trust:
        return load_trust(self.trust_file)

    def session(self, name: str = "default") -> Session:
        """A funded account's session; any name other than `default` is a stranger, whom nobody
        trusts. A test that revokes a key takes a name of its own: the chain outlives the test.
        """
        if name not in self._sessions:
            if name != "default":
                write_keystore(
                    self.settings.home / "keystore" / f"{name}.json",
                    name.encode().rjust(32, b"\x02"),
                )
            session = Session(self.settings, name)
            self.chain.fund(session.address)
            self._sessions[name] = session
        return self._sessions[name]

    def reader(self, trust: Trust | None = None) -> Reader:
        trust = trust or self.trust
        return Reader(self.chain.rpc(), trust.addresses, trust.confirmations)

    def mine(self, blocks: int = 3) -> None:
        """Make everything sent so far final."""
        self.chain.mine(blocks)

    def judge(
        self,
        subject: Path | str,
        *evidence: Path,
        trust: Trust | None = None,
        policy: Policy | None = None,
        engine: Engine | None = None,
        metadata: Mapping[str, str] | None = None,
        release: bytes | None = None,
        reader: object | None = None,
    ) -> Verdict:
        """What `provenance verify` would say."""
        trust = trust or self.trust
        verifier = Verifier(
            trust=trust,
            reader=reader or self.reader(trust),
            source=FolderSource(evidence),  # type: ignore[arg-type]
            prover=ProofChecker(engine or ProverEngine(self.prover)),
            inspector=FixedInspector(metadata),
            policy=policy or Policy(),
        )
        return verify(str(subject), verifier, Options(release=release))

    def stop(self) -> None:
        self.chain.down()
