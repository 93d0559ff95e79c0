"""The part of a log behind `run.close`: what was made of the adapter, up to the release."""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from fractions import Fraction
from typing import Any

from provenance.artifacts.identity import NamedFolder, first_difference, read_files
from provenance.digest import Digest
from provenance.errors import InputError
from provenance.log.forms import is_number
from provenance.log.graph.folders import adapter_of, base_of, binds_files, folder_of
from provenance.log.history import Placed
from provenance.log.record import Record
from provenance.log.records import BODIES, Checkpoint, Merge, Quantize, Release, Sample, Step
from provenance.log.training_fold import refuse, require
from provenance.text.shown import told

MAX_LINKS = 64  # inputs and outputs of a step together
_TYPES = (Merge.TYPE, Quantize.TYPE, Step.TYPE, Sample.TYPE, Release.TYPE)
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,39}")
_OWN_TYPE = frozenset(body.TYPE for body in BODIES)
_TOOL = ("digest", "name", "version")
_BINDING = {body.TYPE: body.VERSION for body in (Checkpoint, Merge, Quantize)}


class DerivedFold:
    """What was made so far. `Fold` calls it only where its state allows the record."""

    def __init__(self) -> None:
        self._opening: Record | None = None
        self._lists: dict[str, list[Placed]] = {type_: [] for type_ in _TYPES}
        self._merged = set[str]()  # names of merged models: identities, or contents of old records
        self._files = set[str]()  # digests of quantized files
        self._outputs = set[str]()  # of steps
        self._base = ""  # name of the base
        self._adapters: dict[int, str] = {}  # name of each checkpoint's, by the record's index

    def placed(self, type_: str) -> tuple[Placed, ...]:
        """The records of a type, in order."""
        return tuple(self._lists[type_])

    def open(self, placed: Placed) -> None:
        """The run is opened: learn which base it is for."""
        if binds_files(placed.record):
            _require_folder(placed, base_of(placed.record), "base.content", "base.files")
        self._opening, self._base = placed.record, base_of(placed.record).name

    def checkpoint(self, placed: Placed) -> None:
        """A checkpoint binds the files of its adapter, if the opening does so for the base."""
        self._require_version(placed)
        if (files := placed.fields.get("files")) is not None:
            _require_files(placed, "files", files)
        self._adapters[placed.index] = adapter_of(placed.record).name

    def merge(self, placed: Placed, checkpoint: Placed) -> None:
        """The opened base and the last live checkpoint's adapter became one model."""
        self._require_version(placed)
        opening, fields = self._opened, placed.fields
        rule = "merge names another checkpoint than the last live one"
        require(placed, "checkpoint", rule, checkpoint.index)
        _require_same(placed, adapter_of(checkpoint.record), "the last checkpoint's")
        if "adapter_manifest" in fields:
            rule = "merge used another adapter than the last checkpoint's"
            require(placed, "adapter_manifest", rule, checkpoint.fields["manifest"])
        _require_same(placed, base_of(opening), "the one the run was opened for")
        if "merged_files" in fields:
            merged, base = folder_of(placed.record, "merged"), folder_of(placed.record, "base")
            _require_files(placed, "merged_files", merged.files)
            rule = "merged model has another file than its base"
            _require_equal_files(placed, rule, base, merged)
        if binds_files(opening):
            _require_scale(placed, opening.fields["config"])
        made = folder_of(placed.record, "merged").name
        self._require_no_step_made(placed, made)
        self._lists[Merge.TYPE].append(placed)
        self._merged.add(made)

    def quantize(self, placed: Placed) -> None:
        """A merged model became a file."""
        self._require_version(placed)
        rule = "weights are quantized that no merge before made"
        _require_made(placed, "source", rule, self._merged)
        self._require_no_step_made(placed, placed.fields["file"])
        self._lists[Quantize.TYPE].append(placed)
        self._files.add(placed.fields["file"])

    def step(self, placed: Placed, checkpoint: Placed | None) -> None:
        """Something was made from artifacts of which this run made one, or measured on them."""
        inputs, outputs = placed.fields["inputs"], placed.fields["outputs"]
        _require_step(placed)
        own = {self._base} | ({self._adapters[checkpoint.index]} if checkpoint else set())
        made = (own, self._merged, self._files, self._outputs)
        known = [name for name in (*inputs, *outputs) if any(name in part for part in made)]
        if not set(known) & set(inputs):
            rule = "step takes nothing that this run made or began with"
            refuse(placed.index, "inputs", rule, "an artifact of this run", inputs)
        if again := set(known) & set(outputs):
            rule = "step makes what exists already"
            refuse(placed.index, "outputs", rule, "a new artifact", min(again))
        self._lists[Step.TYPE].append(placed)
        self._outputs |= set(outputs)

    def _require_no_step_made(self, placed: Placed, made: str) -> None:
        """What a step made is not made again by a record that says how it can be checked."""
        if made in self._outputs:
            rule = "record makes what a step made before"
            refuse(placed.index, placed.record.type, rule, "a new artifact", made)

    def sample(self, placed: Placed) -> None:
        """Blocks of a merge or of a quantization were proven."""
        stage = placed.fields["stage"]
        if stage not in (Merge.TYPE, Quantize.TYPE) or not self._lists[stage]:
            rule = "sample is about a stage that is not logged before it"
            refuse(placed.index, "stage", rule, "merge or quantize, after its record", stage)
        self._lists[Sample.TYPE].append(placed)

    def release(self, placed: Placed, run_id: str | None) -> None:
        """A file was released."""
        require(placed, "run_id", "release names another run than the seed", run_id)
        rule = "file is released that no quantization before made"
        _require_made(placed, "model", rule, self._files)
        self._lists[Release.TYPE].append(placed)

    @property
    def _opened(self) -> Record:
        assert self._opening is not None  # the state says so
        return self._opening

    def _require_version(self, placed: Placed) -> None:
        """A log that binds files from its opening on keeps binding them."""
        version, least = placed.record.version, _BINDING[placed.record.type]
        if binds_files(self._opened) and version < least:
            rule = "record does not bind the files beside the weights, as the opening does"
            refuse(placed.index, "v", rule, f"{least} or later", version)


def _require_step(placed: Placed) -> None:
    """A step says by which tool, and lists its inputs and outputs once each."""
    kind, tool = placed.fields["kind"], placed.fields["tool"]
    if not _KIND.fullmatch(kind) or kind in _OWN_TYPE:
        rule = "step has no kind of its own"
        refuse(placed.index, "kind", rule, "1 to 40 of a-z 0-9 _ -, and no type of record", kind)
    if sorted(tool) != list(_TOOL) or not all(isinstance(tool[name], str) for name in _TOOL):
        rule = "step does not say by which tool"
        refuse(placed.index, "tool", rule, "name, version and digest, as texts", tool)
    try:
        Digest.parse(tool["digest"])
    except InputError:
        refuse(placed.index, "tool.digest", "not a digest", "sha256:<64 hex>", tool["digest"])
    linked = [*placed.fields["inputs"], *placed.fields["outputs"]]
    if len(set(linked)) != len(linked) or len(linked) > MAX_LINKS:
        rule = "step names each of its inputs and outputs once"
        refuse(placed.index, "inputs, outputs", rule, f"at most {MAX_LINKS} digests in all", linked)


def _require_made(placed: Placed, field: str, rule: str, made: Container[str]) -> None:
    """What a record takes is what an earlier record made."""
    if (value := placed.fields[field]) not in made:
        refuse(placed.index, field, rule, "a digest that an earlier record names", value)


def _require_folder(placed: Placed, folder: NamedFolder, content: str, files: str) -> None:
    """A record names a folder by digests of the right form."""
    try:
        Digest.parse(folder.content)
    except InputError:
        rule = "record does not say which weights a folder has"
        refuse(placed.index, content, rule, "sha256:<64 hex digits>", folder.content)
    _require_files(placed, files, folder.files)


def _require_files(placed: Placed, field: str, files: object) -> None:
    try:
        read_files(files)
    except InputError as error:
        rule = "record does not say which files lie beside the weights"
        refuse(placed.index, field, rule, error.expected or error.what, error.actual or error.where)


def _require_same(placed: Placed, earlier: NamedFolder, whose: str) -> None:
    """A merge took a folder that an earlier record names; files are compared if both have any."""
    own = folder_of(placed.record, earlier.what)
    rule = f"merge used another {earlier.what} than {whose}"
    require(placed, earlier.what, rule, earlier.content)
    if own.files is not None:
        _require_files(placed, f"{earlier.what}_files", own.files)
        if earlier.files is not None:
            _require_equal_files(placed, f"{rule}: another file", earlier, own)


def _require_equal_files(placed: Placed, rule: str, one: NamedFolder, other: NamedFolder) -> None:
    """Both folders have the same files beside their weights; the first that differs is named."""
    expected, actual = one.files or {}, other.files or {}
    if (path := first_difference(expected, actual)) is not None:
        where = f"{other.what}_files {told(path)}"
        refuse(placed.index, where, rule, expected.get(path), actual.get(path))


def _require_scale(placed: Placed, config: Mapping[str, Any]) -> None:
    """A merge scales the adapter as the configuration says: by lora_alpha / lora_r."""
    alpha, rank, scale = config.get("lora_alpha"), config.get("lora_r"), placed.fields["scale"]
    if type(alpha) is not int or type(rank) is not int or rank < 1:
        rule = "configuration does not say by what the adapter is scaled"
        refuse(0, "config.lora_alpha, lora_r", rule, "integers", f"{alpha}, {rank}")
    expected = Fraction(alpha, rank)
    if not is_number(scale, expected):
        rule = "merge scales by another number than lora_alpha / lora_r of the configuration"
        refuse(placed.index, "scale", rule, expected, scale)
