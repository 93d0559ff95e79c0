"""Formats are frozen: the product gives, byte for byte, what a second implementation wrote into
tests/vectors.
"""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from provenance.artifacts.content import content_digest
from provenance.artifacts.identity import Identity, NamedFolder
from provenance.artifacts.manifest import Manifest, manifest_of
from provenance.digest import Digest
from provenance.encoding import batch_digest
from provenance.log.record import Record
from provenance.log.records import BODIES
from provenance.log.tree import Head
from provenance.merkle import Tree
from provenance.order import epoch_order
from tests.support import plain
from tests.support.places import VECTORS


def vectors(name: str) -> Any:
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", sorted(plain.all_vectors()))
def test_the_second_implementation_still_writes_the_same_file(name: str) -> None:
    assert vectors(name) == json.loads(json.dumps(plain.all_vectors()[name]))


@pytest.mark.parametrize("vector", vectors("records"), ids=lambda v: v["type"])
def test_a_record_has_the_bytes_and_digests_of_its_vector(vector: dict[str, str]) -> None:
    record = Record.parse(vector["bytes"].encode())
    body = next(b for b in BODIES if (record.type, record.version) == (b.TYPE, b.VERSION))
    assert Record.of(record.body(body), record.time) == record
    assert (record.type, record.to_bytes().decode()) == (vector["type"], vector["bytes"])
    assert (str(record.digest), str(record.entry)) == (vector["digest"], vector["entry"])


def test_there_is_a_vector_for_every_type_of_record() -> None:
    assert {v["type"] for v in vectors("records")} == {body.TYPE for body in BODIES}


@pytest.mark.parametrize("vector", vectors("log"), ids=lambda v: str(v["size"]))
def test_a_head_is_that_of_its_vector(vector: dict[str, Any]) -> None:
    tree = Tree(plain.h(i.to_bytes(4, "big")) for i in range(vector["size"]))
    head = Head(bytes.fromhex(vector["run_id"]), vector["size"], tree.root())
    assert (head.root.hex(), str(head.digest)) == (vector["root"], vector["head"])


def test_a_manifest_is_that_of_its_vector(tmp_path: Path) -> None:
    vector = vectors("manifest")
    for name, content in vector["files"].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes.fromhex(content))
    manifest = manifest_of(tmp_path)
    assert (str(manifest.root), manifest.to_bytes().decode()) == (vector["root"], vector["bytes"])
    assert Manifest.parse(vector["bytes"].encode()) == manifest


def test_a_content_digest_is_that_of_its_vector(tmp_path: Path) -> None:
    vector = vectors("content")
    header, body = {}, b""
    for name, (dtype, shape, data) in vector["tensors"].items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(body), len(body) + len(data) // 2],
        }
        body += bytes.fromhex(data)
    encoded = json.dumps(header).encode()
    file = tmp_path / "model.safetensors"
    file.write_bytes(struct.pack("<Q", len(encoded)) + encoded + body)
    assert str(content_digest(file)) == vector["digest"]


@pytest.mark.parametrize("vector", vectors("identity"), ids=lambda v: f"{len(v['files'])} files")
def test_an_identity_is_that_of_its_vector(vector: dict[str, Any]) -> None:
    files = {path: Digest.parse(sha256) for path, sha256 in vector["files"].items()}
    assert str(Identity(Digest.parse(vector["content"]), files).digest) == vector["digest"]
    assert NamedFolder("base", vector["content"], vector["files"]).name == vector["digest"]


def test_a_batch_digest_is_that_of_its_vector() -> None:
    vector = vectors("batch")
    tensors = {name: np.array(vector[name]) for name in ("input_ids", "attention_mask")} | {
        "labels": None
    }
    assert str(batch_digest(bytes.fromhex(vector["salt"]), tensors)) == vector["digest"]


@pytest.mark.parametrize("vector", vectors("order"), ids=lambda v: f"{v['epoch']}-{v['count']}")
def test_an_order_is_that_of_its_vector(vector: dict[str, Any]) -> None:
    assert (
        epoch_order(bytes.fromhex(vector["seed"]), vector["epoch"], vector["count"]).tolist()
        == vector["order"]
    )


def test_a_digest_prints_and_reads_back() -> None:
    digest = Digest(bytes(range(32)))
    assert str(digest) == "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
    assert Digest.parse(str(digest)) == digest
