"""The format pages and the code list the same things, and each page's example is what the code
makes and reads.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from eth_account import Account

from provenance.dataset.manifest import MANIFEST_FIELDS
from provenance.digest import Digest
from provenance.ids import RunId
from provenance.judgement.edges import EDGE_TABLE
from provenance.judgement.policy import CLAIMS, DEFAULT_REQUIRED, ON_DEMAND, load_policy
from provenance.judgement.trust_file import parse_trust
from provenance.judgement.verdict import TABLE, Edge, Grade, Verdict
from provenance.log.anchoring import SignedHead
from provenance.log.forms import fields_of
from provenance.log.frames import read_frames
from provenance.log.journal import Journal
from provenance.log.record import Record
from provenance.log.records import BODIES
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.signing import Domain, sign_head, verify_head
from provenance.statements import KINDS
from provenance.verify import LIMITS
from provenance_trainer.formats.gguf_keys import metadata
from provenance_trainer.formats.gguf_model import open_model
from tests.docs.documents import ROOT, code, example, table
from tests.docs.main_job import Job, shell
from tests.support.core.witnesses import MadeWitness
from tests.trainer.bases import make_base

FORMATS = ROOT / "docs" / "formats"


def page(name: str) -> Path:
    return FORMATS / f"{name}.md"


# Records


def documented_records() -> dict[str, dict[str, str]]:
    text = page("records").read_text()
    types = re.findall(r"^### `([a-z.]+)`$", text, re.MULTILINE)
    return {
        t: {code(name)[0]: form for name, form, _ in table(page("records"), f"### `{t}`")}
        for t in types
    }


VERSIONS = {(body.TYPE, body.VERSION): body for body in BODIES}
NEWEST = {kind: max(v for other, v in VERSIONS if other == kind) for kind, _ in VERSIONS}


def test_every_record_type_and_field_is_described() -> None:
    assert documented_records() == {
        kind: {field.name: str(field) for field in fields_of(VERSIONS[kind, version])}
        for kind, version in NEWEST.items()
    }


def test_every_version_of_a_record_type_is_described() -> None:
    (row,) = (row for row in table(page("records"), "# Records") if code(row[0]) == ["v"])
    named = {kind: int(version) for version, kind in re.findall(r"(\d+) for `([a-z.]+)`", row[2])}
    assert named == {kind: version for kind, version in NEWEST.items() if version > 1}
    for kind, version in VERSIONS:
        section = page("records").read_text().split(f"\n### `{kind}`\n")[1].split("\n##")[0]
        assert version == NEWEST[kind] or f"version {version} of this type" in section


def test_the_example_record_has_the_entry_shown() -> None:
    record = Record.parse(example(page("records"), "record").strip().encode())
    assert f"`{record.entry}`" in page("records").read_text()


# Journal and log


def test_the_example_journal_is_what_the_code_writes(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal.create(path, {"format": "provenance-journal/1"}) as journal:
        journal.append(b"first")
        journal.append(b"second")
    shown = bytes.fromhex(
        "".join(line.split()[1] for line in example(page("journal"), "journal").splitlines())
    )
    assert shown == path.read_bytes()
    assert [f.payload for f in read_frames(path)] == [b"first", b"second"]


def test_the_example_head_is_what_the_code_signs() -> None:
    record = Record.parse(example(page("log"), "record").strip().encode())
    line = example(page("log"), "head").encode()
    head = Head(RunId(bytes(31) + b"\x07"), 1, Tree([record.entry]).root())
    account, domain = Account.from_key(bytes(31) + b"\x01"), Domain(31337, "0x" + "11" * 20)
    assert SignedHead(head, 1, sign_head(account, head, domain)).to_line() == line
    signed = SignedHead.parse(line)
    verify_head(signed.head, domain, signed.signature, account.address)
    keys = [code(row[0])[0] for row in table(page("log"), "## heads.jsonl")]
    assert set(keys) == set(json.loads(line))


# Verdict and policy


def test_the_status_table_is_that_of_the_code() -> None:
    shown = {
        code(s)[0]: (word, int(exit_code), meaning)
        for s, word, exit_code, meaning in table(page("verdict"), "## Status")
    }
    assert shown == {s.value: (row.word, row.exit_code, row.meaning) for s, row in TABLE.items()}


def test_the_claims_are_those_of_the_code() -> None:
    shown = {
        code(claim)[0]: int(step)
        for step, claim, _ in table(page("verdict"), "<!-- table: claims -->")
    }
    assert shown == CLAIMS


def test_the_grades_and_keys_are_those_of_the_code() -> None:
    text = page("verdict").read_text()
    shown_grades = re.search(r"weakest first:\n(.*)\.", text)
    assert shown_grades is not None
    assert code(shown_grades[1]) == [g.value for g in Grade]
    shown = [code(row[0])[0] for row in table(page("verdict"), "## JSON")]
    assert shown == list(Verdict(next(iter(TABLE)), "", {}).to_json())
    edge = Edge("kind", "parent", "child", Grade.DECLARED, "note").to_json()
    assert all(f"`{key}`" in text for key in edge)


def test_the_table_of_edges_is_that_of_the_code() -> None:
    rows = table(page("verdict"), "## Edges")
    shown = [
        (kind, record, link, first, best, code(claims), again, code(proofs))
        for (kind,), (record,), (link,), (first, best, claims, again, proofs) in (
            (code(row[0]), code(row[1]), code(row[2]), row[3:]) for row in rows
        )
    ]
    made = [
        (
            row.kind,
            row.record,
            f"{row.parent} -> {row.child}",
            row.first.value,
            row.best.value,
            list(row.claims),
            row.recomputed or "-",
            list(row.statements),
        )
        for row in EDGE_TABLE
    ]
    assert shown == made
    assert {claim for row in EDGE_TABLE for claim in row.claims} < set(CLAIMS)
    assert {name for row in EDGE_TABLE for name in row.statements} <= set(KINDS)
    assert {row.record for row in EDGE_TABLE} < {body.TYPE for body in BODIES}


def test_the_example_verdict_follows_the_tables() -> None:
    value = json.loads(example(page("verdict"), "verdict"))
    row = TABLE[value["status"]]
    assert (value["word"], value["exit_code"], value["limits"]) == (
        row.word,
        row.exit_code,
        list(LIMITS),
    )
    assert list(value) == list(Verdict(next(iter(TABLE)), "", {}).to_json())


def test_a_real_verdict_follows_the_page(job: Job) -> None:
    done = shell(f"provenance verify {job.file} --evidence {job.run}/run --json", job.env, job.work)
    value, text = json.loads(done.stdout), page("verdict").read_text()
    assert done.returncode == value["exit_code"] == 0
    assert {c["id"] for c in value["claims"]} == set(CLAIMS) - ON_DEMAND
    for name in [
        *value["release"],
        *value["interval"],
        *value["subject"],
        *(k for c in value["claims"] for k in c),
        *(k for e in value["edges"] for k in e),
        *(e["kind"] for e in value["edges"]),
    ]:
        assert f"`{name}`" in text, name
    unknown = shell(
        f"provenance verify {'0' * 63}1 --evidence {job.run}/run --json", job.env, job.work
    )
    assert unknown.returncode == 4
    assert shape(json.loads(unknown.stdout)) == shape(
        json.loads(example(page("verdict"), "verdict"))
    )


def shape(value: object) -> object:
    """A JSON value with its hex digits left out."""
    return json.loads(
        re.sub(r"(?<=0x)[0-9a-f]{40,}|(?<=sha256:)[0-9a-f]{64}", "", json.dumps(value))
    )


def test_the_default_policy_is_that_of_the_code(tmp_path: Path) -> None:
    text = page("policy").read_text()
    required, optional = text.split("<!-- list: default -->\n")[1].split("\n\n")[:2]
    assert set(code(required)) == DEFAULT_REQUIRED
    assert set(code(optional)) == set(CLAIMS) - DEFAULT_REQUIRED - {"policy.satisfied"}
    path = tmp_path / "policy.yaml"
    path.write_text(example(page("policy"), "policy"))
    assert load_policy(path).require == DEFAULT_REQUIRED | {"file.recomputed", "merge.recomputed"}


# Trust


def paths(value: object, prefix: str = "") -> set[str]:
    """Every leaf of a JSON value as a path, lists as `[]`."""
    if isinstance(value, dict):
        return {p for k, v in value.items() for p in paths(v, f"{prefix}.{k}" if prefix else k)}
    if isinstance(value, list):
        return {p for v in value for p in paths(v, f"{prefix}[]")}
    return {prefix}


def test_the_trust_page_names_every_key(job: Job) -> None:
    import yaml

    shown = {name for row in table(page("trust"), "# Trust file") for name in code(row[0])}
    assert parse_trust(example(page("trust"), "trust").encode()).environment == "local"
    full = yaml.safe_load(example(page("trust"), "trust"))
    full |= {"expires": "2027-01-01T00:00:00Z", "max_age": 600}
    full["chain"] |= {"confirmations": 12, "quorum": 2}
    full["keys"][0] |= {"class": "ceremony", "transcript": "sha256:00"}
    key = MadeWitness.make("witness.example/w1").vkey
    full["witnesses"] = {"needed": 1, "keys": [key]}
    auditor = {"address": "0x" + "0a" * 20, "name": "a", "from_block": 1, "to_block": 9}
    full["auditors"] = {"needed": 1, "named": [auditor]}
    full["publishers"][0] |= {"to_block": 9, "code_hash": full["contracts"]["ledger"]["code_hash"]}
    more = ("audits", "models", "attestations")
    full["contracts"] |= {name: dict(full["contracts"]["ledger"]) for name in more}
    # it parses, so these keys exist and no others are needed
    assert parse_trust(yaml.safe_dump(full).encode()).confirmations == 12
    assert shown == paths(full)
    assert paths(yaml.safe_load((job.work / ".state" / "trust.yaml").read_text())) <= shown


# Evidence and GGUF


def documented_paths(kind: str) -> list[re.Pattern[str]]:
    found = [code(row[0])[0] for row in table(page("evidence"), f"<!-- layout: {kind} -->")]
    return [re.compile(re.sub(r"<[a-zA-Z]+>", r"[\\w.-]+", re.escape(path))) for path in found]


@pytest.mark.parametrize(("kind", "folder"), [("run", "run"), ("dataset", "run-dataset")])
def test_every_file_is_described_and_every_description_has_a_file(
    job: Job, kind: str, folder: str
) -> None:
    root, known = job.run / folder, documented_paths(kind)
    files = [str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()]
    assert [f for f in files if not any(p.fullmatch(f) for p in known)] == []
    assert [p.pattern for p in known if not any(p.fullmatch(f) for f in files)] == []


def test_the_keys_of_the_json_files_are_described(job: Job) -> None:
    text = page("evidence").read_text()
    starts = ("\n\n| key of `run.json`", "\n\n| key of `dataset.json`", "## registration.json")
    for name, start in zip(("run.json", "dataset.json", "registration.json"), starts, strict=True):
        shown = {n for row in table(page("evidence"), start) for n in code(row[0])}
        path = next(job.run.rglob(name))
        assert set(json.loads(path.read_text())) - shown == set(), name
    assert all(f"`{name}`" in text for name in MANIFEST_FIELDS)
    shown_registration = json.loads(example(page("evidence"), "registration"))
    assert shape(shown_registration) == shape(
        json.loads(next((job.run / "run-dataset").rglob("registration.json")).read_text())
    )


def test_the_file_carries_the_keys_of_the_page(job: Job) -> None:
    from provenance_trainer.formats.gguf_file import read_header

    fields = read_header(job.file).fields
    ours = {n for row in table(page("gguf"), "<!-- keys: provenance -->") for n in code(row[0])}
    model = {n for row in table(page("gguf"), "<!-- keys: model -->") for n in code(row[0])}
    assert (
        {n for n in fields if n.startswith("provenance.")}
        == ours
        == set(json.loads(example(page("gguf"), "gguf")))
    )
    assert {n for n in fields if not n.startswith("provenance.")} <= model
    Digest.parse(str(fields["provenance.log_head"].value))


def test_the_code_writes_the_model_keys_of_the_page(tmp_path: Path) -> None:
    yarn = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "attention_factor": 2.0}
    rope = {**yarn, "original_max_position_embeddings": 64}
    sentencepiece = make_base(
        tmp_path / "sentencepiece",
        tokenizer="sentencepiece",
        config={"head_dim": 32, "rope_parameters": rope},
        settings={"chat_template": "{{ messages }}"},
    )
    padded = make_base(tmp_path / "padded", tokenizer="qwen2")
    written = {"general.architecture"} | {
        key.name for base in (sentencepiece, padded) for key in metadata(open_model(base))
    }
    assert written == {
        name for row in table(page("gguf"), "<!-- keys: model -->") for name in code(row[0])
    }
