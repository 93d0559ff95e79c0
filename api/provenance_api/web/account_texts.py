"""The texts of the pages of addresses, keys, revocations and attestations, in English."""

from __future__ import annotations

_CONTRACT = {
    "contract.lead": "A contract that the trust file of this service pins.",
    "contract.code": "Its code",
    "contract.exact_match": "The code on chain is that of this package, with the same metadata.",
    "contract.match": "The code on chain is that of this package, but for the metadata hash.",
    "contract.none": "The code on chain is not that of this package: another release made it. It "
    "is the code that the trust file pins.",
    "contract.unanswered": "The code on chain was not compared: {problem}.",
    "contract.compared": "Compared: the runtime bytecode that this package brings, with the places "
    "of immutable values left out. Nothing was compiled for this page; the first command below "
    "compiles the sources.",
    "contract.pinned": "pinned code (Keccak-256)",
    "contract.bytes": "bytes of code",
    "contract.sources": "sources of this package",
    "contract.values": "What it says now",
    "contract.values_lead": "Views without arguments, at final block {final}.",
    "contract.no_view": "its code does not answer to this",
    "contract.abi": "Functions and events",
    "contract.signature": "Signature",
    "contract.returns": "returns ({what})",
    "contract.kind.function": "changes",
    "contract.kind.view": "reads",
    "contract.kind.event": "event",
    "contract.yourself": "The first compiles the sources and compares all contracts (it needs the "
    "deployment file and the compiler). The second asks a node of your own for the code.",
}
_ACCOUNT = {
    "account.heading": "Address",
    "account.who": "Who this is",
    "account.opened": "runs opened on chain",
    "account.not_asked": "the chain did not answer",
    "account.signs": "runs here that it signs, as they say",
    "account.lead": "A name comes from the trust file. Runs, releases, datasets and proofs are "
    "those here whose first record has this address, which anybody can write; the page of a run "
    "compares it with the registry.",
    "account.runs": "Runs here",
    "account.releases": "Releases of these runs",
    "account.datasets": "Datasets that these runs name",
    "account.proofs": "Proofs of these runs",
    "account.cut": "Only the newest runs and releases are looked at.",
    "account.yourself": "The runs that it opened, from a node of your own.",
}
_KEYS = {
    "keys.heading": "Verifying keys",
    "keys.lead": "The keys that the trust file of this service pins. A proof counts if it "
    "verifies under one of them.",
    "keys.key": "Key",
    "keys.kind": "What it is for",
    "keys.setup": "Set-up",
    "keys.short.ceremony": "ceremony",
    "keys.short.single_party": "single-party set-up",
    "key.heading": "Key for {kind} proofs",
    "key.setup.ceremony": "Made in a ceremony: nobody can forge proofs unless all who contributed "
    "to a phase work together. Who contributed stands in the transcript, which is not here; "
    "{command} checks it.",
    "key.setup.single_party": "Single-party set-up: whoever made this key can forge proofs under "
    "it. It is for development.",
    "key.transcript": "transcript of the ceremony",
    "key.on_chain": "On chain",
    "key.matches": "The {contract} uses this key, and its id is the Keccak-256 of the bytes there.",
    "key.differs": "The {contract} names this key, and the bytes there have another Keccak-256.",
    "key.not_there": "The {contract} of the trust file does not use this key.",
    "key.data": "its bytes are at",
    "key.number": "number of the statement",
    "key.slots": "slots",
    "key.depth": "depth",
    "key.bytes": "bytes",
    "key.proofs": "Proofs under it here",
    "key.proofs_lead": "Records of runs here that say that an epoch was proven under this key. "
    "They were not checked here.",
    "key.cut": "Only the newest runs, and some of their records, were looked at.",
    "key.yourself": "The bytes of the key after a first zero byte, from a node of your own.",
}
_GONE = {
    "gone.heading": "Revocations",
    "gone.lead": "What was revoked on the pinned registry: records of runs (as releases), "
    "datasets, and keys of accounts. Anybody may revoke what is theirs; whether a revocation "
    "counts, a verdict says.",
    "gone.what": "What",
    "gone.reason": "Reason, as given",
    "gone.by": "By",
    "gone.owner": "the run's owner",
    "gone.block": "Block",
    "gone.record": "record {index} of run {run}",
    "gone.dataset": "dataset {dataset}",
    "gone.key": "key of {signer} from block {block} on",
    "gone.none": "None up to final block {final}.",
    "gone.unanswered": "The chain did not tell: {problem}.",
    "gone.events": "From events, which an endpoint can leave out. A verdict reads the registry "
    "itself.",
    "attested.heading": "Attestations on chain",
    "attested.by": "Auditor",
    "attested.digest": "Digest",
    "attested.none": "Nobody sent one about this run up to final block {final}.",
    "attested.no_contract": "The trust file pins no contract that takes attestations.",
    "attested.lead": "Anybody may send a digest. What it says stands in the attestation itself, "
    "and only a verdict judges it.",
}
ACCOUNTS = _CONTRACT | _ACCOUNT | _KEYS | _GONE
