"""What `doctor` looks at of one installation: folders, key, trust file, chain, contracts, keys.

Each look asks the thing itself: the chain for the code at an address, the cache for a key by its
id. A record of something is no sign that it is still there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path

from provenance.chain.deploy import Deployment, discrepancies, restore_hint, sources_digest
from provenance.chain.endpoint import BRISK
from provenance.chain.rpc import Rpc
from provenance.chain.session import connect, deployment_path, key_path, load_deployment
from provenance.errors import NotFound, ProvenanceError
from provenance.judgement.trust_file import load_trust
from provenance.settings import Settings
from provenance.signing.keystore import address_of, load_key, read_password
from provenance.statements import key_text
from provenance_cli.setup.findings import Finding
from provenance_cli.setup.machine import look_at_clock, look_at_folder
from provenance_cli.wiring import reader_for
from provenance_zk.prover.keys import cached_keys

_NEW_CONTRACTS = "provenance init (or provenance chain deploy --trust-out FILE)"


class Installation:
    """Looks at one installation, one thing after the other.

    Args:
        clock: Unix time in seconds.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock

    def look(self) -> Iterator[Finding]:
        """Everything, in the order in which one rests on the other."""
        yield from self._folders()
        yield from self._password()
        yield self._key()
        yield self._chain()
        yield from self._reading()
        yield self._contracts()
        if self._deployment is not None:
            yield self._proving_keys(self._deployment)
        yield self._trust()
        if self._rpc is not None:
            yield from self._balance(self._rpc)
            yield from look_at_clock(self._rpc, self._clock)

    def _folders(self) -> Iterator[Finding]:
        settings = self._settings
        yield look_at_folder("home folder", settings.home, "name another in PROVENANCE_HOME")
        yield look_at_folder("cache folder", settings.cache, "name another in PROVENANCE_CACHE")
        yield look_at_folder("current folder", Path.cwd(), "cd into another one")

    def _password(self) -> Iterator[Finding]:
        file = self._settings.password_file
        if file is None:
            return
        name = "password file"
        try:
            read_password(file)
        except ProvenanceError as error:
            is_there = file.exists()
            mend = f"chmod 600 {file}" if is_there else f"provenance init, or restore {file}"
            yield Finding.of(name, error, mend, needed=is_there or self._has_key)
        else:
            yield Finding(name, True, str(file))

    @property
    def _has_key(self) -> bool:
        return key_path(self._settings).is_file()

    def _key(self) -> Finding:
        name, path = "signing key", key_path(self._settings)
        if not path.exists():
            needed = self._is_deployed
            return Finding(name, False, f"{path} is not there", "provenance key create", needed)
        try:
            address = address_of(path)
            if self._settings.password_file is not None:
                load_key(path, read_password(self._settings.password_file))
        except ProvenanceError as error:
            return Finding.of(name, error, f"restore {path} and its password from a copy")
        return Finding(name, True, f"{address}, {path}")

    @property
    def _is_deployed(self) -> bool:
        return deployment_path(self._settings).exists()

    @cached_property
    def _asked(self) -> tuple[Rpc | None, str, ProvenanceError | None]:
        """The connection, what it said, and why it did not."""
        try:
            rpc = connect(self._settings, patience=BRISK)
            latest = rpc.block("latest").number
            text = f"{rpc.url}, chain {rpc.chain_id()}, block {latest}"
            return rpc, f"{text}, final {rpc.block('finalized').number}", None
        except ProvenanceError as error:
            return None, "", error

    @property
    def _rpc(self) -> Rpc | None:
        return self._asked[0]

    def _chain(self) -> Finding:
        _, text, error = self._asked
        if error is None:
            return Finding("chain", True, text)
        if self._settings.rpc_url is None:
            return Finding.of("chain", error, "provenance chain up", needed=self._is_deployed)
        mend = error.hint or "name another endpoint in PROVENANCE_RPC_URL"
        return Finding.of("chain", error, mend)

    def _reading(self) -> Iterator[Finding]:
        """Each endpoint that verification reads from, asked by itself."""
        mend = "name another endpoint in PROVENANCE_READ_URLS (read_urls), or leave it out"
        for number, url in enumerate(self._settings.read_urls, 1):
            name = f"reading endpoint {number}"
            try:
                rpc = Rpc(url, patience=BRISK)
                yield self._compared(name, rpc, mend)
                rpc.close()
            except ProvenanceError as error:
                yield Finding.of(name, error, mend)

    def _compared(self, name: str, rpc: Rpc, mend: str) -> Finding:
        """A reading endpoint, which must answer for the same chain as the one that is written to.

        Raises:
            UnavailableError: it does not answer.
        """
        chain, final = rpc.chain_id(), rpc.block("finalized").number
        detail = f"{rpc.url}, chain {chain}, final {final}"
        if self._rpc is None or rpc.block(0).hash == self._rpc.block(0).hash:
            return Finding(name, True, detail)
        return Finding(
            name, False, f"{detail}: another chain than {self._rpc.url} answers for", mend
        )

    @cached_property
    def _deployment(self) -> Deployment | None:
        try:
            return load_deployment(self._settings)
        except ProvenanceError:
            return None  # `_contracts` loads it again and says why

    def _contracts(self) -> Finding:
        name = "contracts"
        try:
            deployment = load_deployment(self._settings)
            if self._rpc is None:
                detail = f"recorded (ledger {deployment.ledger}), but the chain does not answer"
                return Finding(name, False, detail, "see chain, above", needed=False)
            found = discrepancies(self._rpc, deployment)
        except NotFound as error:
            return Finding.of(name, error, "provenance init", needed=False)
        except ProvenanceError as error:
            return Finding.of(name, error, _NEW_CONTRACTS)
        if found:
            detail = "; ".join(f"{d.what} (recorded {d.expected}, there {d.actual})" for d in found)
            return Finding(name, False, f"not those of {self._record}: {detail}", self._redeploy)
        if deployment.sources != sources_digest():
            detail = "they are on the chain, but of another version of this package"
            return Finding(name, False, detail, _NEW_CONTRACTS)
        detail = f"code of this version at the addresses of {self._record}"
        return Finding(name, True, f"{detail}, ledger {deployment.ledger}")

    @property
    def _record(self) -> Path:
        return deployment_path(self._settings)

    @property
    def _redeploy(self) -> str:
        if self._settings.rpc_url is None:
            return _NEW_CONTRACTS
        return f"name their chain in PROVENANCE_RPC_URL, or {_NEW_CONTRACTS}"

    def _proving_keys(self, deployment: Deployment) -> Finding:
        name, cache = "proving keys", self._settings.cache / "keys"
        try:
            found = {str(key.vk_id) for key in cached_keys(cache)}
        except ProvenanceError as error:
            return Finding.of(name, error, f"remove that folder of {cache}, and look again")
        missing = [key for key in deployment.keys if key.vk_id not in found]
        if not missing:
            return Finding(name, True, f"all {len(deployment.keys)} of the contracts, in {cache}")
        names = "; ".join(key_text(key.kind, key.slots, key.depth) for key in missing)
        detail = f"{len(missing)} of {len(deployment.keys)} are not in {cache}: {names}"
        return Finding(name, False, detail, restore_hint(deployment))

    def _trust(self) -> Finding:
        name, path = "trust file", self._settings.trust
        if path is None:
            detail = "none; every verification needs one"
            return Finding(name, False, detail, "provenance init, or --trust FILE", needed=False)
        try:
            trust = load_trust(path)
            if self._rpc is None:
                return Finding(name, True, f"{path}; not compared with a chain")
            difference = trust.first_difference(reader_for(self._settings, trust, BRISK).identity())
        except ProvenanceError as error:
            mend = "provenance init writes one for contracts of your own"
            return Finding.of(name, error, mend, needed=self._is_deployed or path.exists())
        if difference is None:
            return Finding(name, True, f"{path}, of the chain that answers")
        what, expected, actual = difference
        detail = f"{path} pins another chain than the one that answers: {what} differs"
        detail += f" (pinned {expected}, there {actual})"
        mend = f"name its chain in PROVENANCE_RPC_URL, or {_NEW_CONTRACTS}"
        return Finding(name, False, detail, mend)

    def _balance(self, rpc: Rpc) -> Iterator[Finding]:
        name = "balance"
        if not self._has_key:
            return
        try:
            address = address_of(key_path(self._settings))
            wei = rpc.balance_wei(address)
        except ProvenanceError as error:
            yield Finding.of(name, error, "see signing key and chain, above", needed=False)
            return
        if wei:
            yield Finding(name, True, f"{address} has {wei / 10**18:.6f} ETH")
            return
        is_embedded = self._settings.rpc_url is None
        mend = "provenance chain deploy" if is_embedded else f"send {address} some"
        yield Finding(name, False, f"{address} has nothing to pay with", mend, self._is_deployed)
