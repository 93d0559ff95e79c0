"""bfloat16 bit patterns, rounding to nearest even, and the range of values that merges accept.

A bfloat16 has 1 sign, 8 exponent and 7 fraction bits. Finite values are multiples of 2^-133.

Source: IEEE 754-2019 section 4.3.1 (roundTiesToEven).
"""

from __future__ import annotations

import numpy as np

from provenance.errors import InputError

MIN_EXPONENT = -133  # of the smallest subnormal
SMALLEST_FACTOR = 2.0**-40  # smaller values of adapters become zero: no merge proof holds them
WINDOW_BITS = 16  # every weight and factor has an absolute value below 2^16
_FRACTION_BITS = 7
_MIN_NORMAL_EXPONENT = -126


def to_float64(bits: np.ndarray) -> np.ndarray:
    """Exact float64 values of bfloat16 bit patterns (uint16)."""
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)


def require_in_window(bits: np.ndarray, where: str) -> None:
    """Refuse NaN, infinity, and absolute values of 2^16 or more.

    Raises:
        InputError: there is such a value; the first one is named.
    """
    limit = (127 + WINDOW_BITS) << _FRACTION_BITS
    bad = (bits & 0x7FFF) >= limit
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        raise InputError(
            "value is outside the range that a merge accepts",
            where=f"{where}{list(index)}",
            expected=f"finite and below 2^{WINDOW_BITS}",
            actual=float(to_float64(bits[index])),
        )


def flush_small(bits: np.ndarray) -> np.ndarray:
    """Bit patterns in which absolute values below SMALLEST_FACTOR are replaced by +0."""
    smallest = int(round_float64(np.array([SMALLEST_FACTOR]))[0])
    flushed: np.ndarray = np.where((bits & 0x7FFF) < smallest, np.uint16(0), bits)
    return flushed


def round_float64(values: np.ndarray) -> np.ndarray:
    """Nearest bfloat16 (ties to even) of finite float64 values, as uint16 bit patterns.

    A value that rounds to zero keeps its sign. The values must not round to infinity.
    """
    _, exponent = np.frexp(values)  # |value| = m * 2^exponent with m in [0.5, 1)
    quantum = np.maximum(exponent - 1, _MIN_NORMAL_EXPONENT) - _FRACTION_BITS
    rounded = np.ldexp(np.rint(np.ldexp(values, -quantum)), quantum)
    bits: np.ndarray = (rounded.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    return bits


def round_scaled_integer(numerator: int, shift: int) -> int:
    """Bits of the bfloat16 nearest (ties to even) to `numerator / 2**shift`; exact zero is +0."""
    sign, magnitude = (0x8000, -numerator) if numerator < 0 else (0, numerator)
    exponent = max(magnitude.bit_length() - 1 - shift, _MIN_NORMAL_EXPONENT)
    drop = exponent - _FRACTION_BITS + shift  # bits below one unit in the last place
    if drop <= 0:
        units = magnitude << -drop
    else:
        units, rest = magnitude >> drop, magnitude & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        units += rest > half or (rest == half and units & 1)
    # `units` has at most 8 bits, or is 256 after a carry. The sum below is right in both cases: a
    # carry moves on into the exponent field.
    return sign | (((exponent + 126) << _FRACTION_BITS) + units if units >= 128 else units)


def round_float32(values: np.ndarray) -> np.ndarray:
    """Nearest bfloat16 (ties to even) of finite float32 values, as uint16 bit patterns."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def ulp_distance(left: np.ndarray, right: np.ndarray) -> int:
    """Largest distance between two arrays of bit patterns, in steps between bfloat16 numbers."""
    if left.size == 0:
        return 0
    return int(np.abs(_ordered(left) - _ordered(right)).max())


def _ordered(bits: np.ndarray) -> np.ndarray:
    magnitude = (bits & 0x7FFF).astype(np.int32)
    return np.where(bits & 0x8000, -magnitude, magnitude)
