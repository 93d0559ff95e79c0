"""The texts of the pages of runs and records, in English. `{name}` stands for a value."""

from __future__ import annotations

from provenance_api.web.shelf_texts import SHELVES

_SITE = {
    "nav.site": "Explorer",
    "nav.here": "You are here",
    "nav.runs": "Runs",
    "nav.run": "Run {run}",
    "nav.datasets": "Datasets",
    "nav.releases": "Releases",
    "nav.revocations": "Revocations",
    "nav.keys": "Keys",
    "nav.records": "Records",
    "nav.heads": "Signed heads",
    "nav.proofs": "Proofs",
    "nav.counted": "{name} ({count})",
    "nav.pages": "Pages of this list",
    "nav.next": "Next page",
    "nav.first": "First page",
    "nav.previous_record": "Record {index} before",
    "nav.next_record": "Record {index} after",
    "nav.json": "This page as JSON: add {suffix} to its address.",
    "nav.nothing": "Nothing is here.",
    "nav.unknown": "not said",
}
_SOURCE = {
    "source.heading": "Where this comes from, and what was compared",
    "source.journal": "From the journal in an evidence folder of this service, which has {records} "
    "records. Whoever wrote the folder wrote what is shown. Only a verdict judges a model.",
    "source.head": "Head {seq} beside the journal is of the first {size} records, and has their "
    "root. Its signature was not checked here.",
    "source.no_head": "No signed head beside the journal has the root of these records.",
    "source.on_chain": "On chain: the registry has head {seq} of this run, of {size} records, "
    "committed in block {block}. The first {size} records here have its root (asked at final block "
    "{final}).",
    "source.beyond": "The {count} records after them are under no head on chain.",
    "source.not_on_chain": "Not on chain: at final block {final} the registry has no head of this "
    "run.",
    "source.differs": "Contradiction: the registry has head {seq} of this run, of {size} records, "
    "and the first {size} records here have another root. These are not the records that were "
    "committed on chain (final block {final}).",
    "source.missing": "Records are missing: the registry has head {seq} of this run, of {size} "
    "records, and here are {records} (final block {final}). So they were not compared with it.",
    "source.unanswered": "Not compared with the chain: {problem}. Nothing here says what is on "
    "chain.",
    "source.damage": "The folder cannot be read any more: {damage}. What is shown was indexed "
    "before that.",
    "source.index": "This list is the index of the evidence folders of this service. It shows "
    "nothing about what is in it, and was not compared with the chain.",
    "source.time": "Times are what the writer's clock said.",
}
_RUN = {
    "runs.heading": "Runs",
    "runs.lead": "Training runs whose evidence folders this service has, the newest first by what "
    "they say.",
    "runs.caption": "Runs",
    "runs.run": "Run",
    "runs.opened": "Opened, as it says",
    "runs.state": "State",
    "runs.size": "Records",
    "runs.publisher": "Publisher, as claimed",
    "runs.says": "says it is {name}",
    "runs.damaged": "Folders that cannot be read ({count})",
    "runs.damaged_lead": "These folders are damaged or contradict what was indexed before. They "
    "are not shown.",
    "state.open": "open",
    "state.closed": "closed",
    "state.unknown": "unknown",
    "run.heading": "Run",
    "run.facts": "What the records say",
    "run.opened": "opened",
    "run.closed": "closed",
    "run.signer": "publisher, as claimed",
    "run.trusted": "{name} in the trust file of this service; on chain it owns this run",
    "run.only_claimed": "the address of {name} in the trust file of this service, but nothing here "
    "shows that it opened this run",
    "run.stranger": "the trust file of this service does not name this address",
    "run.dataset": "dataset",
    "run.dataset_counts": "{count} records, depth {depth}",
    "run.dataset_unregistered": "The run names no registration of a dataset on chain.",
    "run.root": "dataset root",
    "run.base": "base model",
    "run.code": "code",
    "run.owner_word": "All of this is the owner's word, as the records have it.",
    "run.registry": "What the registry says",
    "run.owner": "owner",
    "run.owner_same": "the address that the records say signs the heads",
    "run.owner_differs": "not the address that the records say signs the heads",
    "run.opening": "opening",
    "run.opening_same": "record 0 is the one that was fixed on chain before the seed was drawn",
    "run.opening_differs": "record 0 is not the one that was fixed on chain",
    "run.seed": "seed",
    "run.seed_drawn": "drawn by the chain",
    "run.seed_missing": "not drawn",
    "run.heads_on_chain": "heads",
    "run.registered_dataset": "dataset",
    "run.not_registered": "There is nothing to show: the registry does not know the run, or did "
    "not answer.",
    "run.log": "The log",
    "run.log_lead": "All records from the first to the last. What is filled is under a head: on "
    "chain, or only signed.",
    "run.counts": "Records by type",
    "run.type": "Type",
    "run.count": "Records",
    "run.checkpoints": "Checkpoints",
    "run.step": "Step",
    "run.epoch": "Epoch",
    "run.record": "Record",
    "run.weights": "Weights",
    "run.releases": "Releases",
    "run.loss": "Loss and evaluations",
    "run.loss_lead": "What the owner wrote at the end. Nobody checked these figures here.",
    "run.no_loss": "The records say nothing about it yet.",
    "run.figure": "Figure",
    "run.value": "Value",
    "run.evaluation": "Evaluation of {subject} at step {step}, record {index}",
    "run.settings": "Configuration",
    "run.settings_lead": "As it was registered before the training.",
    "run.setting": "Setting",
    "run.meaning": "In plain words",
    "run.cut": "Longer than what is shown here: {lists}. The list of records has all.",
    "run.records": "All records",
}
_LOG = {
    "log.title": "The log from the first record to the last",
    "log.described": "{size} records. The head on chain covers {covered}, the longest signed head "
    "{signed}. Marked are {checkpoints} checkpoints and {releases} releases.",
    "log.checkpoint": "checkpoint at step {step}",
    "log.release": "release {name}",
    "log.first": "record 0",
    "log.last": "record {index}",
    "log.legend.chain": "under the head on chain",
    "log.legend.signed": "under a signed head only",
    "log.legend.open": "under no head",
    "log.legend.checkpoint": "checkpoint",
    "log.legend.release": "release",
}
_RECORD = {
    "records.heading": "Records",
    "records.filter": "Only of type",
    "records.all": "all types",
    "records.show": "Show",
    "records.caption": "Records of this run in their order",
    "records.index": "Index",
    "records.type": "Type",
    "records.time": "Time, as it says",
    "records.says": "What it says",
    "records.digest": "Digest",
    "record.heading": "Record {index}",
    "record.facts": "Record",
    "record.digest": "digest",
    "record.digest_checked": "computed again from the bytes below",
    "record.digest_unchecked": "not computed again: the record is too long",
    "record.entry": "entry in the log",
    "record.version": "version",
    "record.time": "time, as it says",
    "record.bytes": "bytes",
    "record.canonical": "Canonical JSON",
    "record.canonical_lead": "The very bytes that are hashed (RFC 8785). What nobody would see is "
    "spelled out here.",
    "record.too_long": "The record has {bytes} bytes, which is too long to be shown.",
    "record.batch": "Of a batch the log has positions, salted leaves and a digest of what the "
    "model was fed: never its contents.",
    "record.inclusion": "Inclusion proof",
    "record.no_inclusion": "There is none: no head that fits these records covers this one.",
    "record.root": "root",
    "record.path": "Path (RFC 6962), from the record up",
    "record.path_empty": "The path is empty: the log has one record, whose hash is the root.",
    "record.side": "Side",
    "record.hash": "Hash",
    "record.left": "left",
    "record.right": "right",
    "record.yourself": "Verify it yourself",
    "record.yourself_digest": "The digest: this prints it, without the {prefix} before it.",
    "record.yourself_path": "The path: with Python alone, and no code of this project.",
    "record.yourself_evidence": "With the run's folder at hand: which record has this digest, and "
    "under which head.",
    "record.yourself_chain": "Then compare the root with what the registry says, through an "
    "endpoint of your own.",
    "inclusion.on_chain": "This shows that the record is number {index} of the {size} records "
    "under head {seq}, which the registry has since block {block}. It does not show that what the "
    "record says is true.",
    "inclusion.signed": "This shows that the record is number {index} of the {size} records under "
    "head {seq} beside the journal. It does not show that the head is on chain or who signed it, "
    "nor that what the record says is true.",
}
_SAYS = {
    "says.batch": "positions {positions} of epoch {epoch}, step {step}",
    "says.run.open": "opens the run",
    "says.seed": "seed from {source}",
    "says.checkpoint": "checkpoint at step {step}, epoch {epoch}",
    "says.epoch": "epoch {epoch}, {consumed} positions",
    "says.eval": "evaluation of {subject} at step {step}",
    "says.resume": "goes on from record {from}, step {step}",
    "says.merge": "merges adapter {adapter}",
    "says.quantize": "{quantization} file {file}",
    "says.sample": "drawn blocks of {stage}, anchoring {number}",
    "says.release": "releases {name}: {model}",
    "says.run.close": "{status} at step {step}",
    "says.step": "step of kind {kind}",
    "says.tombstone": "leaf {leaf} was erased",
}
_CONFIG = {
    "config.model_name_or_path": "the base model",
    "config.dataset_name": "the folder of the dataset",
    "config.lora_r": "rank of the adapter: how much it can change",
    "config.lora_alpha": "the adapter counts alpha / rank times",
    "config.lora_dropout": "share of the adapter's inputs left out at random",
    "config.lora_target_modules": "parts of the model that are adapted",
    "config.max_length": "tokens that are left of a record",
    "config.per_device_train_batch_size": "records that are fed at once",
    "config.gradient_accumulation_steps": "batches before the weights change",
    "config.learning_rate": "how far each step goes",
    "config.lr_scheduler_type": "how the learning rate changes",
    "config.warmup_steps": "steps until the full learning rate",
    "config.weight_decay": "pull of the weights towards zero",
    "config.num_train_epochs": "times that the dataset is gone through",
    "config.max_steps": "steps after which training ends; negative: no such end",
    "config.save_steps": "steps between two checkpoints",
    "config.seed": "start of other random numbers; the order of records has the run's seed",
    "config.completion_only_loss": "only completions are learned",
    "config.assistant_only_loss": "only the assistant's words are learned",
    "config.packing": "several records share a sequence",
}
EXPLORER = _SITE | _SOURCE | _RUN | _LOG | _RECORD | _SAYS | _CONFIG | SHELVES
