"""The three verifiers as functions of bytes: a key, the texts of proofs and a mask."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from provenance.errors import InputError
from provenance_zk.groth16.key import parse_key
from provenance_zk.groth16.points import parse_g1
from provenance_zk.groth16.verifier import is_valid_proof
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from tests.support.places import REPO
from tests.zk.groth16.fuzz.changes import proof_words


def by_go(prover: ZkProver, key: bytes, texts: Sequence[bytes], mask: int) -> list[bool] | None:
    """The verdicts of `zkprover verify`; None if it refuses the key or the mask."""
    with tempfile.TemporaryDirectory() as folder:
        words = Path(folder) / "vk.words"
        words.write_bytes(key)
        proofs = [Path(folder) / f"{i}.json" for i in range(len(texts))]
        for path, text in zip(proofs, texts, strict=True):
            path.write_bytes(text)
        request = {"words": str(words), "proofs": [str(path) for path in proofs], "mask": mask}
        try:
            answer = prover.request("verify", request)
        except InputError:
            return None
        return [result["ok"] for result in answer["results"]]


def is_key(key: bytes) -> bool:
    """Whether Python takes the key."""
    try:
        parse_key(key)
    except InputError:
        return False
    return True


def parsed(text: bytes) -> ProofFile | None:
    """The proof that Python reads in a text."""
    try:
        return ProofFile.parse(text)
    except InputError:
        return None


def by_python(key: bytes, proof: ProofFile, mask: int) -> bool:
    """The verdict of the independent verifier."""
    try:
        return is_valid_proof(key, proof, mask)
    except InputError:
        return False


def is_looked_at(proof: ProofFile, mask: int) -> bool:
    """Whether a contract would see what is malformed in the proofs of knowledge.

    It ignores those outside the mask; a file in which they are malformed is refused.
    """
    try:
        for i, pok in enumerate(proof.poks):
            if not mask >> i & 1:
                parse_g1(pok, "pok")
    except InputError:
        return False
    return True


class Contracts:
    """The Solidity verifier in a chain of its own (contracts/test/support/judge.js)."""

    def __enter__(self) -> Contracts:
        build = ("npx", "hardhat", "build", "--no-tests", "--quiet")
        subprocess.run(build, cwd=REPO, check=True, timeout=900)
        self._node = subprocess.Popen(
            ("node", "contracts/test/support/judge.js"),
            cwd=REPO,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._node:  # closes stdin, at whose end the program ends
            pass

    def judge(
        self, key: bytes, proofs: Sequence[ProofFile], masks: Sequence[int]
    ) -> tuple[bool, list[bool]]:
        """Whether a contract would pin the key, and the verdicts under it."""
        question: dict[str, Any] = {
            "words": f"0x{key.hex()}",
            "commitments": len(proofs[0].commitments) if proofs else 0,
            "masks": list(masks),
            "proofs": [[f"0x{word:x}" for word in proof_words(proof)] for proof in proofs],
        }
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        print(json.dumps(question), file=self._node.stdin, flush=True)
        line = self._node.stdout.readline()
        assert line, "the contracts' program ended: its reason is on stderr"
        answer = json.loads(line)
        return answer["sound"], answer["verdicts"]
