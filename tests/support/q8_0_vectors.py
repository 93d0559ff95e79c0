"""Blocks of bfloat16 as gguf-py quantizes them to Q8_0.

`python -m tests.support.q8_0_vectors` writes tests/vectors/zk/q8_0.json.
"""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
from gguf.constants import GGMLQuantizationType
from gguf.quants import quantize

from tests.support.places import ZK_VECTORS

PATH = ZK_VECTORS / "q8_0.json"
BLOCK = 32
LARGEST = 149 << 7 | 125  # maximum whose scale is the largest finite float16

Case = dict[str, Any]


def case(name: str, patterns: list[int]) -> Case:
    values = (np.array(patterns, dtype=np.uint32) << 16).view(np.float32)
    data = quantize(values.reshape(1, BLOCK), GGMLQuantizationType.Q8_0)
    return {"name": name, "values": patterns, "bytes": data.tobytes().hex()}


def spread(source: random.Random, maximum: int, octaves: int) -> list[int]:
    """Patterns of both signs below a maximum, within so many powers of two of it."""
    floor = max(0, maximum - (octaves << 7))
    block = [source.randint(floor, maximum) | source.randrange(2) << 15 for _ in range(BLOCK)]
    block[source.randrange(BLOCK)] = maximum | source.randrange(2) << 15
    return block


def cases() -> list[Case]:
    source = random.Random(8)
    out = [case("zeros", [0] * BLOCK), case("zeros of both signs", [0, 0x8000] * (BLOCK // 2))]
    out += [
        case(f"drawn {n}", spread(source, source.randint(100 << 7, LARGEST), 12)) for n in range(40)
    ]
    out += [
        case(f"near the maximum {n}", spread(source, source.randint(115 << 7, 128 << 7), 2))
        for n in range(20)
    ]
    out += [
        case(f"subnormal scale {n}", spread(source, source.randint(105 << 7, 120 << 7), 12))
        for n in range(20)
    ]
    out += [
        case(
            f"far and subnormal values {n}", spread(source, source.randint(100 << 7, 130 << 7), 250)
        )
        for n in range(10)
    ]
    out += [
        case(
            f"significand 254 or 255 {n}",
            spread(source, source.randint(106, 148) << 7 | 126 + n % 2, 9),
        )
        for n in range(20)
    ]
    halves = [124 << 7 | m for m in range(0, 128, 4)]
    out += [case(f"half the maximum {m & 127}", [m + 128] + [m] * (BLOCK - 1)) for m in halves[::4]]
    out += [case("ties of 254", [125 << 7 | 126] + [(125 << 7 | m) for m in range(1, 63, 2)])]
    return out


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases())
    PATH.write_text('{"cases":[\n' + lines + "\n]}\n", encoding="utf-8")
