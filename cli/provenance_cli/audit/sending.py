"""An auditor's account, which sends digests of attestations to the contract of a trust file."""

from __future__ import annotations

from dataclasses import dataclass

from provenance.chain.artifact import ARTIFACTS, abi_of
from provenance.chain.contracts import Reader
from provenance.chain.rpc import Receipt
from provenance.chain.session import connect, embedded, key_path, manager_for, miner
from provenance.chain.waits import Waits
from provenance.chain.writer import Writer
from provenance.errors import ConfigError, Conflict, OutcomeUnknown
from provenance.ids import Address, RunId, to_hex
from provenance.judgement.facts import MAX_ATTESTED
from provenance.judgement.trust import Trust
from provenance.progress import Say
from provenance.settings import Settings
from provenance.signing.keystore import load_key, read_password
from provenance_cli.setup.deployment import require_funds


def contract_of(trust: Trust) -> Address:
    """The contract of attestations that a trust file names.

    Raises:
        ConfigError: it names none.
    """
    found = trust.contracts.get("attestations")
    if found is None:
        raise ConfigError(
            "the trust file names no contract of attestations",
            where=str(trust.digest),
            expected="contracts.attestations",
            hint="without it a signature is enough: provenance audit submit",
        )
    return found.address


def call_data(run_id: RunId, digest: bytes) -> bytes:
    """Calldata by which an account attests a digest about a run."""
    return abi_of(ARTIFACTS["attestations"]).encode("attest", (run_id, digest))


@dataclass(frozen=True)
class Sending:
    """Sends for one account to the contracts that a trust file pins."""

    writer: Writer
    waits: Waits
    contract: Address
    account: Address

    @classmethod
    def of(cls, settings: Settings, trust: Trust, key: str, say: Say) -> Sending:
        """With a named key, which pays. On the embedded chain an empty account is given funds.

        Raises:
            ConfigError: no such contract, or the endpoint is of another chain.
            UnavailableError: the chain is out of reach, or the account has no funds on it.
        """
        contract, rpc = contract_of(trust), connect(settings, say)
        difference = trust.first_difference(Reader(rpc, trust.addresses).identity())
        if difference is not None:
            what, expected, actual = difference
            raise ConfigError(
                f"wrong chain: {what} differs from the trust file's",
                where=rpc.url,
                expected=expected,
                actual=actual,
                hint="name the trust file's chain in PROVENANCE_RPC_URL",
            )
        rpc.block("finalized")  # what is sent is waited for until it is final
        account = load_key(key_path(settings, key), read_password(settings.password_file))
        address = str(account.address)
        if settings.rpc_url is None and rpc.balance_wei(address) == 0:
            embedded(settings).fund(address)
        require_funds(rpc, address)
        manager, mine = manager_for(settings, rpc, account), miner(settings, rpc)
        manager.say = say
        writer = Writer(rpc, trust.addresses, manager, mine)
        return cls(writer, Waits(rpc, mine, say), contract, Address(address))

    def sent_in(self, run_id: RunId, digest: bytes) -> int:
        """The block, final by now, in which this account sent a digest; 0 if it did not.

        Raises:
            UnavailableError: the chain does not answer, or it is not final in time.
            OutcomeUnknown: a reorganisation took it away, or into another block.
        """
        block = self.writer.latest().attested_block(run_id, self.account, digest)
        self.waits.until_final(block)
        now = self.writer.latest().attested_block(run_id, self.account, digest)
        if now != block:
            raise OutcomeUnknown(
                "a reorganisation moved what was sent",
                where=to_hex(digest),
                expected=f"block {block}",
                actual=f"block {now}" if now else "not sent",
                hint="run the same command again",
            )
        return block

    def require_room(self, run_id: RunId, more: int) -> None:
        """Check that a verifier will read what was sent and so many more. It cannot be taken back.

        Raises:
            Conflict: it would not, and no verdict that names this auditor would verify the run.
            UnavailableError: the chain does not answer.
        """
        total = self.writer.latest().attested(run_id, self.account).total
        if more and total + more > MAX_ATTESTED:
            raise Conflict(
                "verifiers would not read so many attestations, and the run would never verify",
                where=f"run {run_id}",
                expected=f"<= {MAX_ATTESTED} in all by {self.account}",
                actual=f"{total} sent, {more} to send",
                hint="send a file with the lines that matter",
            )

    def send(self, run_id: RunId, digest: bytes) -> Receipt:
        """Send a digest, and wait until that is final; raises as `Session` and `Waits` do."""
        label = f"attest:{self.contract}:{run_id.hex()}:{digest.hex()}"
        receipt = self.writer.send("attestations", label, "attest", run_id, digest)
        self.waits.for_final(receipt)
        return receipt
