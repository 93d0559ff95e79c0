"""Go, Python and Solidity agree on drawn keys and proofs.

`pytest --long tests/zk/groth16/fuzz` runs for a minute, `--fuzz-seconds N` for another time, and
`--fuzz-seed N` draws the same cases again. The mutations of `test_groth16_mutations.py` have
planned verdicts; here nobody planned anything, so combinations turn up that no operator makes.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provenance_zk.kinds import by_number
from provenance_zk.proof_file import ProofFile
from provenance_zk.prover.client import ZkProver
from provenance_zk.prover.keys import vk_id
from tests.support.places import ZK_VECTORS
from tests.zk.groth16.fuzz.changes import change_key, change_proof, change_text
from tests.zk.groth16.fuzz.verifiers import (
    Contracts,
    by_go,
    by_python,
    is_key,
    is_looked_at,
    parsed,
)

TEXTS = 24  # of a round
PAIRINGS = 3  # of them by Python, which needs a second for each
FILES = sorted(path.name for path in ZK_VECTORS.glob("groth16_*.json"))


@pytest.fixture(scope="module")
def contracts() -> Iterator[Contracts]:
    with Contracts() as running:
        yield running


def drawn_round(draw: random.Random) -> tuple[bytes, int, list[bytes]]:
    """A key, a mask and texts of proofs that name the key."""
    file = json.loads((ZK_VECTORS / draw.choice(FILES)).read_bytes())
    good = [case for case in file["cases"] if case["valid"]]
    commitments = len(good[0]["proof"]["commitments"])
    key = bytes.fromhex(file["words"][2:])
    if draw.random() < 0.5:
        key = change_key(draw, key, commitments)
    mask = draw.randrange(1 << commitments)
    texts = []
    for i in range(TEXTS):
        case = draw.choice(good)
        proof: dict[str, Any] = json.loads(json.dumps(case["proof"]))
        proof["vkId"] = f"0x{vk_id(key).hex()}"
        if i > 0 and draw.random() < 0.8:
            change_proof(draw, proof)
        text = json.dumps(proof)
        if i > 0 and draw.random() < 0.3:
            texts.append(change_text(draw, text))
        else:
            texts.append(text.encode())
    return key, mask, texts


class Comparison:
    """Compares the verdicts of one round, and counts what was compared."""

    def __init__(self, prover: ZkProver, contracts: Contracts) -> None:
        self.prover, self.contracts = prover, contracts
        self.counts: Counter[str] = Counter()

    def disagreements(
        self, draw: random.Random, key: bytes, mask: int, texts: list[bytes]
    ) -> list[str]:
        go = by_go(self.prover, key, texts, mask)
        proofs = [parsed(text) for text in texts]
        readable = [(i, proof) for i, proof in enumerate(proofs) if proof is not None]
        solidity, found = self._by_contracts(key, mask, readable)
        if (go is not None, is_key(key)) != (solidity is not None, solidity is not None):
            return [f"key: Go {go is not None}, Python {is_key(key)}, Solidity {found}"]
        self.counts["keys taken" if go is not None else "keys refused"] += 1
        if go is None or solidity is None:
            return []
        wrong = [
            f"text {i}: Go {go[i]}, Python cannot read it"
            for i, proof in enumerate(proofs)
            if proof is None and go[i]
        ]
        for i, verdict in solidity.items():
            self.counts[f"contracts said {verdict}"] += 1
            if verdict is not go[i]:
                wrong.append(f"text {i}: Go {go[i]}, Solidity {verdict}")
        for i, proof in draw.sample(readable, min(PAIRINGS, len(readable))):
            verdict = by_python(key, proof, mask)
            self.counts[f"Python said {verdict}"] += 1
            if verdict is not go[i]:
                wrong.append(f"text {i}: Go {go[i]}, Python {verdict}")
        return wrong

    def _by_contracts(
        self, key: bytes, mask: int, readable: list[tuple[int, ProofFile]]
    ) -> tuple[dict[int, bool] | None, bool]:
        """Verdicts by the number of the text; None if contracts refuse the key."""
        kind = by_number(key[63])
        count = int.from_bytes(key[128:160], "big")
        seen = [
            (i, proof)
            for i, proof in readable
            if proof.kind == kind
            and proof.vk_id == vk_id(key)
            and len(proof.public) == count
            and is_looked_at(proof, mask)
        ]
        sound, verdicts = self.contracts.judge(
            key, [proof for _, proof in seen], [mask] * len(seen)
        )
        if not sound:
            return None, sound
        return dict(zip((i for i, _ in seen), verdicts, strict=True)), sound


@pytest.mark.long
@pytest.mark.timeout(0)
def test_three_verifiers_agree_on_drawn_keys_and_proofs(
    request: pytest.FixtureRequest, prover: ZkProver, contracts: Contracts, tmp_path: Path
) -> None:
    seconds, seed = (request.config.getoption(f"--fuzz-{name}") for name in ("seconds", "seed"))
    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    comparison = Comparison(prover, contracts)
    end, number = time.monotonic() + seconds, 0
    while time.monotonic() < end or number < 4:
        draw = random.Random(f"{seed} {number}")
        key, mask, texts = drawn_round(draw)
        wrong = comparison.disagreements(draw, key, mask, texts)
        if wrong:
            case = {"words": key.hex(), "mask": mask, "texts": [text.hex() for text in texts]}
            (tmp_path / "case.json").write_text(json.dumps(case))
        assert not wrong, f"--fuzz-seed {seed}, round {number}: {wrong}; {tmp_path / 'case.json'}"
        number += 1
    print(f"seed {seed}: {number} rounds of {TEXTS} texts; {dict(comparison.counts)}")
    compared = (
        "keys taken",
        "keys refused",
        *(f"{who} said {verdict}" for who in ("contracts", "Python") for verdict in (True, False)),
    )
    if number > 20:
        assert all(comparison.counts[name] for name in compared), comparison.counts
