"""The texts of the pages of heads, proofs, datasets, releases and searches, in English."""

from __future__ import annotations

_HEADS = {
    "heads.lead": "The lines of heads.jsonl: what the run's key signed, and whether it is the root "
    "of these records. Signatures were not checked here; a verdict checks them. A line that the "
    "registry has leads to its transaction.",
    "heads.position": "Line",
    "heads.seq": "Number",
    "heads.size": "Records",
    "heads.root": "Root",
    "heads.holds": "Root of these records",
    "heads.yes": "yes",
    "heads.no": "no: another history",
    "heads.chain": "On chain",
    "heads.newest": "the newest head on chain",
    "heads.before": "a part of the newest head on chain",
    "heads.behind": "not covered by the head on chain",
    "heads.unknown": "not compared",
}
_PROOFS = {
    "proofs.lead": "Proof files in the run's folder. They were not checked here; a verdict checks "
    "them.",
    "proofs.epochs": "Proofs of epochs",
    "proofs.epoch": "Epoch",
    "proofs.chunk": "Chunk",
    "proofs.number": "Anchoring",
    "proofs.digest": "SHA-256 of the file",
    "proofs.samples": "Sampled proofs of weights",
    "proofs.samples_lead": "Records that say that drawn blocks of the weights were proven.",
    "proofs.stage": "Stage",
    "proofs.record": "Record",
    "proof.heading": "Proof of epoch {epoch}, chunk {chunk}",
    "proof.shows": "What a proof of this kind shows",
    "proof.shows_if": "If it verifies under a key that you trust: {shows}.",
    "proof.shows_not": "What it does not show",
    "proof.unchecked": "This page did not check the proof. The verdict of a release of this run "
    "does.",
    "proof.facts": "The file",
    "proof.kind": "kind",
    "proof.digest": "SHA-256",
    "proof.key": "verifying key",
    "proof.dataset": "dataset",
    "proof.ledger": "ledger",
    "proof.anchored_by": "named by",
    "proof.nobody": "No record names an anchoring of this epoch.",
    "proof.anchored": "Anchored on chain",
    "proof.accepted": "At final block {final} the ledger has anchoring {number} of this epoch, "
    "from block {block}, and accepted all of its proofs.",
    "proof.not_accepted": "At final block {final} the ledger has anchoring {number} of this epoch, "
    "from block {block}, and has not accepted all of its proofs.",
    "proof.no_anchoring": "At final block {final} the ledger has no such anchoring.",
    "proof.not_compared": "Not compared with the chain: {problem}.",
    "proof.consumed": "records fed",
    "proof.log_size": "size of the log then",
    "proof.yourself": "The file in the run's folder has the digest above if this prints it.",
}
_DATASETS = {
    "datasets.heading": "Datasets",
    "datasets.lead": "Datasets that runs here name in their first record.",
    "datasets.id": "Dataset",
    "datasets.runs": "Runs",
    "dataset.heading": "Dataset",
    "dataset.lead": "A dataset is known here by the root of its salted records. Its contents and "
    "salts are nowhere in this service.",
    "dataset.registered": "What the chain says",
    "dataset.at": "At final block {final}.",
    "dataset.unregistered": "At final block {final} the ledger has no such registration.",
    "dataset.unanswered": "Not compared with the chain: {problem}.",
    "dataset.owner": "owner",
    "dataset.root": "root",
    "dataset.count": "records",
    "dataset.depth": "depth",
    "dataset.finished": "registration",
    "dataset.finished_yes": "finished: proofs back root and count",
    "dataset.finished_no": "begun, not finished: no proof backs its count yet",
    "dataset.said": "What runs say of it",
    "dataset.differ": "Runs here say different things of this dataset.",
    "dataset.contradicts": "contradicts the chain",
    "dataset.runs": "Runs that name it",
    "dataset.more": "More runs name it than are shown.",
}
_RELEASES = {
    "releases.heading": "Releases",
    "releases.lead": "Release records, the newest first by what they say. A record shows nothing "
    "about a model; its verdict, behind its name, does.",
    "releases.record": "record {index} of run {run}",
}
_SEARCH = {
    "found.heading": "Found",
    "found.lead": "{count} things here have the handle {query}.",
    "found.more": "There are more than are shown.",
    "found.caption": "What has this handle",
    "found.kind": "What it is",
    "found.what": "Name",
    "found.run": "In run",
    "found.searched": "Searched: {places}.",
    "hit.run": "a run",
    "hit.dataset": "a dataset",
    "hit.dataset_root": "a run on the dataset of this root",
    "hit.record": "a record",
    "hit.entry": "the record of this entry",
    "hit.head": "a head (number, records)",
    "hit.model": "a released file: its verdict",
    "hit.manifest": "a released folder: its verdict",
    "hit.name": "a release: its verdict",
    "hit.contract": "a contract of the trust file",
    "hit.account": "an account",
    "hit.key": "a verifying key",
    "hit.transaction": "a transaction",
    "hit.block": "a block",
}
SHELVES = _HEADS | _PROOFS | _DATASETS | _RELEASES | _SEARCH
