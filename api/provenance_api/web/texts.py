"""The texts of the pages, in English: everything a reader sees except the verdict's own words.

Another language is another `Texts` with the same keys. `{name}` stands for a value. Texts hold no
markup: bold words and code are passed in as values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from provenance.text.shown import visible
from provenance_api.web.account_texts import ACCOUNTS
from provenance_api.web.chain_texts import CHAIN
from provenance_api.web.explorer_texts import EXPLORER


def made_visible(value: object) -> object:
    """What a template puts out (attacker-controlled); markup was made of visible texts already."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@dataclass(frozen=True)
class Texts:
    """The texts of one language. `language` is its tag (BCP 47)."""

    language: str
    sentences: Mapping[str, str]

    def __call__(self, key: str, /, **values: object) -> Markup:
        """A text for a template. Its values are escaped, because an attacker may control them.

        Raises:
            KeyError: there is no such text, or a value is missing.
        """
        shown = {name: made_visible(value) for name, value in values.items()}
        return escape(self.sentences[key]).format(**shown)

    def plain(self, key: str, /, **values: object) -> str:
        """A text as an unescaped value, which a template escapes later.

        Raises:
            KeyError: there is no such text, or a value is missing.
        """
        return self.sentences[key].format(**values)


_SITE = {
    "site.title": "Model provenance",
    "site.handle": "Digest, id, name or address",
    "site.handle_example": "sha256:…, 0x… or name:version",
    "site.search": "Search",
    "site.scope": "This page shows what one service found with one trust file.",
    "site.trust_file": "Trust file of this service",
    "site.compare": "(compare it with your own)",
    "site.api": "API description",
    "site.health": "Health",
    "site.copy": "copy",
    "site.copied": "copied",
    "site.select": "select it",
    "site.copy_label": "Copy",
}
_HOME = {
    "home.heading": "Where does this model come from?",
    "home.lead": "Paste a model file's SHA-256, the name it was released under, or the id or "
    "digest of anything else here. The answer on a model follows the file back through merge, "
    "adapter and checkpoints to the training data, and says how well each step is known.",
    "home.tip": "No digest at hand? {command} prints it.",
    "home.latest": "Latest releases",
    "home.runs": "Latest runs",
    "home.all_runs": "All runs",
    "home.all_releases": "All releases",
    "home.contracts": "Contracts on chain",
    "home.counts": "What is here",
    "home.count.runs": "runs",
    "home.count.records": "records",
    "home.count.heads": "signed heads",
    "home.count.releases": "releases",
    "home.count.datasets": "datasets",
    "home.unlisted": "Releases cannot be listed now: {reason}. Verdicts by digest still work.",
    "home.listed": "This list comes from the evidence folders of this service. It shows nothing "
    "about a release: only its verdict does.",
    "home.none": "None yet. A release appears here when its run folder is in an evidence folder "
    "of this service.",
}
_PROBLEM = {
    "problem.where": "where",
    "problem.expected": "expected",
    "problem.actual": "you asked for",
    "problem.searched": "searched",
    "problem.hint": "what to do",
}
_VERDICT = {
    "verdict.file": "File judged",
    "verdict.asked_manifest": "You asked for the directory manifest {asked}; the file above is the "
    "one it was released with.",
    "verdict.asked_name": "You asked for “{asked}”; the file above is the one released under it.",
    "verdict.unchecked": "Not checked",
    "verdict.unchecked_count": "Not checked ({count})",
    "verdict.needs": "needs: {needs}",
    "verdict.more_evidence": "more evidence",
    "verdict.nothing_left_out": "Nothing was left out.",
    "verdict.ended_before": "The verification ended before it came to {claims}.",
    "verdict.development": "Why “development”",
    "verdict.yourself": "Verify it yourself",
    "verdict.yourself_lead": "This service never sees your file, only its digest. With the file, "
    "the run's evidence folder and a trust file that you trust, you can run the same verification "
    "on your machine. It also hashes the file and recomputes what it can.",
    "verdict.yourself_least": "At least check that your file is the one judged here. "
    "{command} must print",
    "verdict.limits": "What this verdict never shows",
}
_LINEAGE = {
    "lineage.heading": "Lineage",
    "lineage.lead": "Each arrow says how well its step is known: {declared} (somebody says so), "
    "{signed}, {anchored} (in the log whose head the chain holds), {sampled} (zero-knowledge "
    "proofs of drawn blocks), {audited} (replayed by trusted auditors), {proven} (zero-knowledge "
    "proofs of all of it), {recomputed} (by this verifier, bit by bit).",
    "lineage.none": "The verification ended before it came to the lineage, so there is nothing to "
    "draw.",
    "lineage.every_edge": "All edges, with whole digests",
    "lineage.child": "child",
    "lineage.parent": "parent",
    "lineage.title": "Lineage from dataset to release",
    "lineage.step": "{child} from {parent}: {grade}",
    "lineage.roots_of": "roots of the {node}: {grade}",
    "lineage.roots": "roots {grade}",
    "lineage.committed": "committed as {table}: {note}",
    "lineage.logged": "both records are in the log under the anchored head",
    "lineage.lists_records": "batches list the dataset's records",
    "lineage.same_weights": "the same weights by digest",
    "lineage.opened_for": "the run was opened for this base model",
    "lineage.merge_record": "merge record",
    "lineage.quantize_record": "quantize record",
    "lineage.names_file": "the release record names the file",
    "node.dataset": "Dataset",
    "node.dataset.note": "committed records",
    "node.run": "Training run",
    "node.run.note": "batches in the log",
    "node.checkpoint": "Checkpoint",
    "node.checkpoint.note": "adapter weights",
    "node.adapter": "Adapter",
    "node.base": "Base model",
    "node.merged": "Merged model",
    "node.file": "Quantized file",
    "node.release": "Release",
    "grade.declared": "declared",
    "grade.signed": "signed",
    "grade.anchored": "anchored",
    "grade.sampled": "sampled",
    "grade.audited": "audited",
    "grade.proven": "proven",
    "grade.recomputed": "recomputed",
}
_TIMELINE = {
    "timeline.heading": "Training",
    "timeline.lead": "The bar shows the {segments} of the training, from the seed to the adapter "
    "that was shipped, in proportion to their steps. Each line is a checkpoint. Whoever has data "
    "and base can train a segment again, and compare.",
    "timeline.one": "only segment",
    "timeline.many": "{count} segments",
    "timeline.grouped": "There are too many to draw one by one, so a few in a row are drawn as "
    "one, which stands no better than the worst of them.",
    "timeline.needed": "The trust file wants {needed} of its auditors for a segment.",
    "timeline.no_auditors": "The trust file names no auditors, so nobody's signature counts here.",
    "timeline.drawn_by": "Block {block} drew what they trained again, after the training had ended "
    "on chain.",
    "timeline.drawn_by_them": "Not the chain, but the auditors drew what they trained again.",
    "timeline.none": "There is nothing to draw: the verification ended before it came to the "
    "training, or the log does not show that the training has ended.",
    "timeline.title": "Training from the first step to the last",
    "timeline.step": "step {step}",
    "timeline.seed": "seed",
    "timeline.steps": "steps {first} to {last}",
    "timeline.no_steps": "no step",
    "timeline.about": "{count} segments, {batches} batches, ends with {end}",
    "timeline.about_one": "{batches} batches, ends with {end}",
    "timeline.table": "All segments as a table",
    "timeline.segment": "Segment",
    "timeline.here": "Trained again here",
    "timeline.auditors": "Signed by auditors",
    "timeline.nobody": "nobody",
    "timeline.not_here": "no",
    "timeline.enough": "enough auditors",
    "timeline.not_enough": "not exact by enough auditors",
    "timeline.enough_for": "enough auditors for {audited} of {count}",
    "timeline.legend": "{standing}: {count} of {all}",
    "timeline.standing.here": "trained again here, exactly",
    "timeline.standing.audited": "signed as exact by enough auditors",
    "timeline.standing.part": "in part, or by too few auditors",
    "timeline.standing.astray": "trained again, and not exactly",
    "timeline.standing.different": "trained again, and it ended elsewhere",
    "timeline.standing.nobody": "trained again by nobody whose word counts",
    "timeline.label.here": "here",
    "timeline.label.audited": "auditors: {count}",
    "timeline.label.part": "auditors: {count}",
    "timeline.label.astray": "not exact",
    "timeline.label.different": "elsewhere",
    "timeline.label.nobody": "nobody",
    "class.exact": "exact",
    "class.close": "close",
    "class.unknown": "unknown",
    "class.different": "different",
    "class.counted": "{outcome} ({count})",
}
_CLAIMS = {
    "claims.heading": "What was checked",
    "claims.holds": "Holds",
    "claims.fails": "Fails",
    "claims.open": "Not checked",
    "claims.where": "where",
    "claims.expected": "expected",
    "claims.actual": "actual",
    "claims.evidence": "Evidence",
    "claims.not_reached": "Not reached.",
    "step.1": "Identify the file",
    "step.2": "Find its release by a trusted publisher",
    "step.3": "Check the records under the signed head",
    "step.4": "Check the chain, and that the head is final",
    "step.5": "Walk the lineage",
    "step.6": "Check the proofs",
    "step.7": "Recompute what can be recomputed",
    "step.8": "Check for revocations",
    "step.9": "Apply the policy",
}
_RELEASE = {
    "release.heading": "Release",
    "release.name": "name",
    "release.publisher": "publisher",
    "release.run": "run",
    "release.log": "log",
    "release.log_place": "record {index} under head {seq}",
    "release.block": "block",
    "release.transaction": "transaction",
    "release.record": "record",
    "release.manifest": "manifest",
    "release.release": "release",
    "release.none": "none was found",
    "release.after": "made after",
    "release.before": "made before",
    "release.at": "block {block}, {time}",
    "release.siblings": "sibling runs",
    "release.sibling_count": "at least {count} other runs on this dataset; an owner who opens "
    "many runs can keep the one whose seed suits",
    "release.no_siblings": "none known",
    "release.siblings_not_sought": "not looked for",
    "release.trust_file": "trust file",
    "time.seconds": "{seconds} s after 1970",
}
ENGLISH = Texts(
    "en",
    _SITE
    | _HOME
    | _PROBLEM
    | _VERDICT
    | _LINEAGE
    | _TIMELINE
    | _CLAIMS
    | _RELEASE
    | EXPLORER
    | CHAIN
    | ACCOUNTS,
)
