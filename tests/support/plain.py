"""A second implementation of every byte that is hashed or signed: slow, obvious, and sharing no
code with the product.

It writes `tests/vectors/*.json` (`python -m tests.support.plain`), which the tests then hold the
product against. The files are frozen: a change in them is a change of format.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tests.support.places import VECTORS


def h(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def tag(name: str, payload: bytes) -> bytes:
    return h(b"provenance/v1/" + name.encode() + b"\x00" + payload)


def show(digest: bytes) -> str:
    return "sha256:" + digest.hex()


def be(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def text(value: str) -> bytes:
    return be(len(value.encode()), 4) + value.encode()


def canonical(value: Any) -> str:
    """RFC 8785 for text, integers, booleans, null, lists and objects."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return '"' + "".join(_character(c) for c in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(canonical(v) for v in value) + "]"
    keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
    return "{" + ",".join(canonical(k) + ":" + canonical(value[k]) for k in keys) + "}"


def _character(c: str) -> str:
    short = {
        "\b": "\\b",
        "\t": "\\t",
        "\n": "\\n",
        "\f": "\\f",
        "\r": "\\r",
        '"': '\\"',
        "\\": "\\\\",
    }
    return short.get(c) or (f"\\u{ord(c):04x}" if ord(c) < 32 else c)


def mth(entries: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, as written there."""
    n = len(entries)
    if n == 0:
        return h(b"")
    if n == 1:
        return h(b"\x00" + entries[0])
    k = 1
    while k * 2 < n:
        k *= 2
    return h(b"\x01" + mth(entries[:k]) + mth(entries[k:]))


def path(m: int, entries: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    n = len(entries)
    if n == 1:
        return []
    k = 1
    while k * 2 < n:
        k *= 2
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def proof(m: int, entries: list[bytes]) -> list[bytes]:
    """PROOF of RFC 6962 section 2.1.2; empty for m = 0."""
    return subproof(m, entries, True) if m else []


def subproof(m: int, entries: list[bytes], whole: bool) -> list[bytes]:
    n = len(entries)
    if m == n:
        return [] if whole else [mth(entries)]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        return [*subproof(m, entries[:k], whole), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


def order(seed: bytes, epoch: int, count: int) -> list[int]:
    stream: list[int] = []
    counter = 0

    def word() -> int:
        nonlocal counter
        if not stream:
            block = tag("order", seed + be(epoch, 8) + be(counter, 8))
            stream.extend(int.from_bytes(block[i : i + 8], "big") for i in (0, 8, 16, 24))
            counter += 1
        return stream.pop(0)

    def uniform(bound: int) -> int:
        while True:
            w = word()
            if w < 2**64 - (2**64 % bound):
                return w % bound

    a = list(range(count))
    for i in range(count - 1, 0, -1):
        j = uniform(i + 1)
        a[i], a[j] = a[j], a[i]
    return a


D = {c: show(bytes([ord(c)]) * 32) for c in "abcdef"}
W = {c: "0x" + (bytes([ord(c)]) * 32).hex() for c in "abcdef"}
ADDRESS = "0x" + "ab" * 20
TIME = "2026-01-02T03:04:05Z"

# What a `run.open` record says is fed.
# What is fed as runs said it first; frozen in tests/vectors/records.json.
FIRST_FED: dict[str, Any] = {
    "shape": "text",
    "columns": ["text"],
    "unused": [],
    "loss": "all",
    "max_length": 64,
    "begin": "none",
    "end": "2",
    "chat_template": "none",
    "records": 40,
    "tokens": 900,
    "predicted": 860,
    "longest": 30,
    "cut": 0,
    "lost": 0,
    "unlearned": 0,
}
FED: dict[str, Any] = {**FIRST_FED, "rules": 2, "special": 0, "unended": 0}

# The files beside a model's weights, and a base that names none, as logs wrote it first.
FILES: dict[str, str] = {"config.json": D["a"], "vorlagen/gespräch.jinja": D["b"]}
SECOND_BASE = {"content": D["a"], "name": "bäse"}
CONFIG = {"lora_alpha": 4, "lora_r": 2}

# One record of every type, with every optional field.
RECORDS: dict[str, dict[str, Any]] = {
    "run.open": {
        "dataset": {"root": W["a"], "depth": 5, "count": 40},
        "fed": FIRST_FED,
        "base": SECOND_BASE | {"files": FILES},
        "config": {"lr": "1e-4"},
        "config_digest": D["b"],
        "code": {"commit": "0" * 40, "dirty": False},
        "environment": {"python": "3.11"},
        "signer": ADDRESS,
        "evaluation": {},
        "registered": True,
    },
    "seed": {"seed": W["a"], "source": "chain", "draw_block": 12, "run_id": W["b"]},
    "batch": {
        "epoch": 0,
        "step": 1,
        "micro": 0,
        "rank": 0,
        "positions": [0, 1],
        "leaves": [W["a"], W["b"]],
        "tensors": D["c"],
        "unmatched": 1,
    },
    "checkpoint": {
        "step": 3,
        "path": "checkpoint-3",
        "manifest": D["a"],
        "weights": D["b"],
        "files": FILES,
        "optimizer": D["c"],
        "scheduler": D["d"],
        "rng": D["e"],
        "previous": 2,
        "last_batch": 9,
        "epoch": 0,
        "consumed": 24,
    },
    "epoch": {
        "epoch": 0,
        "consumed": 38,
        "remainder": [W["a"], W["b"]],
        "number": 0,
        "ledger": ADDRESS,
        "u_hash": W["c"],
        "p_hash": W["d"],
        "dataset_id": W["e"],
        "vk_id": W["f"],
        "log_size": 11,
    },
    "eval": {
        "step": 4,
        "metrics": {"perplexity": "12.5"},
        "subject": "adapter",
        "subject_digest": D["a"],
    },
    "resume": {"from": 3, "abandons": [4, 5], "step": 3},
    "merge": {
        "base": D["a"],
        "base_files": FILES,
        "adapter": D["b"],
        "adapter_files": {},
        "merged": D["d"],
        "merged_files": FILES,
        "checkpoint": 7,
        "scale": "2.0",
        "adapted": ["q_proj"],
        "max_ulp_to_peft": 1,
    },
    "quantize": {
        "source": D["a"],
        "format": "gguf",
        "quantization": "Q8_0",
        "file": D["b"],
        "size": 5,
        "tensors": {"total": 1},
    },
    "step": {
        "kind": "prune",
        "inputs": [D["a"]],
        "outputs": [D["b"], D["c"]],
        "tool": {"name": "pruner", "version": "1.2", "digest": D["d"]},
        "parameters": {"share": "0.1"},
        "metrics": {"perplexity": "12.5"},
    },
    "sample": {"stage": "merge", "number": 0, "ledger": "0x" + "ab" * 20, "anchoring": W["a"]},
    "release": {
        "run_id": W["a"],
        "model": D["a"],
        "manifest": D["b"],
        "name": "model:1",
        "files": 3,
    },
    "attest": {"subject": D["a"], "kind": "audit", "body": {"by": "someone"}},
    "revoke": {"run_id": W["a"], "index": 5, "reason": "leak"},
    "run.close": {"status": "finished", "step": 5, "summary": {}},
    "dataset": {
        "root": W["a"],
        "depth": 5,
        "count": 40,
        "manifest": D["a"],
        "source": "test",
        "licence": "CC0-1.0",
        "duplicates_removed": 0,
        "curation": ["exact duplicates dropped"],
    },
    "curation": {"dataset": W["a"], "step": "filter", "body": {}},
    "tombstone": {"dataset": W["a"], "leaf": W["b"]},
    "adopt": {"subject": D["a"], "body": {}},
}


# Types of which there is more than one version, with the newest.
VERSIONS = {"run.open": 3, "checkpoint": 2, "resume": 2, "merge": 2, "quantize": 2}
FIRST_MERGE = {
    "base": D["a"],
    "adapter": D["b"],
    "adapter_manifest": D["c"],
    "merged": D["d"],
    "merged_manifest": D["e"],
    "checkpoint": 7,
    "scale": "2.0",
    "adapted": ["q_proj"],
    "max_ulp_to_peft": 1,
}


def records_of_every_version() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """(type, version, fields); the versions before the newest of a type come first."""
    second = RECORDS["run.open"] | {"base": SECOND_BASE}
    yield "run.open", 1, {k: v for k, v in second.items() if k != "fed"}
    yield "resume", 1, RECORDS["resume"]
    yield "run.open", 2, second
    yield "checkpoint", 1, {k: v for k, v in RECORDS["checkpoint"].items() if k != "files"}
    yield "merge", 1, FIRST_MERGE
    yield "quantize", 1, RECORDS["quantize"]
    for kind, fields in RECORDS.items():
        yield kind, VERSIONS.get(kind, 1), fields


def record_vectors() -> list[dict[str, str]]:
    result = []
    for kind, version, fields in records_of_every_version():
        data = canonical({"type": kind, "v": version, "time": TIME, **fields}).encode()
        digest = tag("entry", data)
        entry = digest
        if kind == "release":
            parts = [
                fields["run_id"][2:],
                fields["model"][7:],
                fields["manifest"][7:],
                digest.hex(),
            ]
            entry = tag("release", bytes.fromhex("".join(parts)))
        result.append(
            {"type": kind, "bytes": data.decode(), "digest": show(digest), "entry": show(entry)}
        )
    return result


def log_vectors() -> list[dict[str, Any]]:
    entries = [h(be(i, 4)) for i in range(40)]
    run = bytes(range(32))
    return [
        {
            "run_id": run.hex(),
            "size": n,
            "root": mth(entries[:n]).hex(),
            "head": show(tag("head", run + be(n, 8) + mth(entries[:n]))),
        }
        for n in (0, 1, 2, 3, 7, 8, 9, 31, 32, 33, 40)
    ]


def manifest_vectors() -> dict[str, Any]:
    files = {"b.txt": b"bee", "a/ä.bin": b"\x00\x01", "a.txt": b"", "a-b": b"x" * 3000}
    names = sorted(files, key=str.encode)
    leaves = [tag("manifest-leaf", text(n) + be(len(files[n]), 8) + h(files[n])) for n in names]
    root = show(tag("manifest", be(len(leaves), 8) + mth(leaves)))
    value = {
        "format": "provenance-manifest/1",
        "root": root,
        "files": [{"path": n, "size": len(files[n]), "sha256": show(h(files[n]))} for n in names],
    }
    return {"files": {n: files[n].hex() for n in files}, "root": root, "bytes": canonical(value)}


def content_vectors() -> dict[str, Any]:
    tensors = {
        "z": ("F32", [2, 2], bytes(range(16))),
        "a.weight": ("BF16", [3], b"\x01\x02\x03\x04\x05\x06"),
        "scalar": ("I64", [], bytes(8)),
        "empty": ("F16", [0, 4], b""),
    }
    names = sorted(tensors, key=str.encode)
    leaves = []
    for name in names:
        dtype, shape, data = tensors[name]
        dims = b"".join(be(d, 8) for d in shape)
        leaves.append(
            tag("content-leaf", text(name) + text(dtype) + be(len(shape), 1) + dims + h(data))
        )
    return {
        "tensors": {n: [t[0], t[1], t[2].hex()] for n, t in tensors.items()},
        "digest": show(tag("content", be(len(leaves), 8) + mth(leaves))),
    }


def identity_vectors() -> list[dict[str, Any]]:
    """Folders by content and SHA-256 of each other file, given in no order."""
    folders = [(D["a"], {}), (D["b"], {"tokenizer.json": D["c"], "a/ä.py": D["d"], "a-b": D["e"]})]
    result = []
    for content, files in folders:
        payload = bytes.fromhex(content[7:]) + be(len(files), 8)
        for name in sorted(files, key=str.encode):
            payload += text(name) + bytes.fromhex(files[name][7:])
        result.append(
            {"content": content, "files": files, "digest": show(tag("identity", payload))}
        )
    return result


def batch_vectors() -> dict[str, Any]:
    salt = bytes(range(32))
    ids, mask = [[1, -2, 3], [4, 5, 2**40]], [[1, 1, 1], [1, 0, 0]]
    payload = salt
    for rows in (ids, mask):
        payload += b"\x01\x02" + be(2, 8) + be(3, 8)
        payload += b"".join((v % 2**64).to_bytes(8, "big") for row in rows for v in row)
    payload += b"\x00"
    return {
        "salt": salt.hex(),
        "input_ids": ids,
        "attention_mask": mask,
        "labels": None,
        "digest": show(tag("batch", payload)),
    }


def order_vectors() -> list[dict[str, Any]]:
    seed = bytes(range(32))
    return [
        {"seed": seed.hex(), "epoch": e, "count": n, "order": order(seed, e, n)}
        for e, n in ((0, 1), (0, 2), (0, 17), (1, 17), (2**53 - 1, 40), (3, 256))
    ]


def all_vectors() -> dict[str, Any]:
    return {
        "records": record_vectors(),
        "log": log_vectors(),
        "manifest": manifest_vectors(),
        "content": content_vectors(),
        "identity": identity_vectors(),
        "batch": batch_vectors(),
        "order": order_vectors(),
    }


def write() -> None:
    for name, value in all_vectors().items():
        (VECTORS / f"{name}.json").write_text(
            json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    write()
