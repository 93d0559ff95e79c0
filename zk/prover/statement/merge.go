// SPDX-License-Identifier: Apache-2.0

package statement

import "math/big"

const (
	// MergeUnit: totals of the statement `merge` are integers in units of 2^-MergeUnit.
	MergeUnit = 110

	fractionBits = 7
	// a normal bfloat16 is significand * 2^(biased exponent - fractionUnit)
	fractionUnit   = 127 + fractionBits
	scaleUnit      = 16 // scales are integers in units of 2^-scaleUnit
	largestBiased  = 254
	smallestNormal = 1
)

// MergedValue is the pattern of the bfloat16 that is nearest (even on ties, zero as +0) to
// weight + scale/2^16 * sum b[k]*a[k]. The arguments are patterns of finite numbers. It panics on
// numbers that are not multiples of the unit; all numbers in the statement's windows are. Source:
// IEEE 754-2019, section 4.3.1.
func MergedValue(weight uint16, scale uint64, b, a []uint16) uint16 {
	total := scaledInteger(weight, MergeUnit)
	for k := range b {
		product := new(big.Int).Mul(scaledInteger(b[k], factorUnit),
			scaledInteger(a[k], factorUnit))
		total.Add(total, product.Mul(product, new(big.Int).SetUint64(scale)))
	}
	return nearest(total)
}

const factorUnit = (MergeUnit - scaleUnit) / 2

// scaledInteger is the number of a pattern times 2^unit.
func scaledInteger(pattern uint16, unit int) *big.Int {
	exponent, significand := int(pattern>>fractionBits&0xff), int64(pattern&(1<<fractionBits-1))
	if exponent >= smallestNormal {
		significand |= 1 << fractionBits
	}
	out := big.NewInt(significand)
	if shift := max(exponent, smallestNormal) - fractionUnit + unit; shift >= 0 ||
		significand == 0 {
		out.Lsh(out, uint(max(shift, 0)))
	} else if rest := uint(-shift); out.TrailingZeroBits() >= rest {
		out.Rsh(out, rest)
	} else {
		panic("statement: number is no multiple of the unit")
	}
	if pattern>>15 == 1 {
		out.Neg(out)
	}
	return out
}

// nearest rounds total / 2^MergeUnit. Above the largest finite number it returns an infinity.
func nearest(total *big.Int) uint16 {
	size := new(big.Int).Abs(total)
	drop := size.BitLen() - 1 - fractionBits // bits below the significand's last
	if drop < 0 {
		size.Lsh(size, uint(-drop))
	} else {
		unit := new(big.Int).Lsh(big.NewInt(1), uint(drop)) // of the significand's last bit
		rest := new(big.Int).Mod(size, unit)
		size.Rsh(size, uint(drop))
		twice := rest.Lsh(rest, 1).Cmp(unit)
		if twice > 0 || (twice == 0 && size.Bit(0) == 1) {
			size.Add(size, big.NewInt(1)) // 255 + 1 = 256 carries into the exponent below
		}
	}
	if total.Sign() == 0 {
		return 0
	}
	pattern := uint64(drop+fractionUnit-MergeUnit-1)<<fractionBits + size.Uint64()
	pattern = min(pattern, (largestBiased+1)<<fractionBits)
	if total.Sign() < 0 {
		pattern |= 1 << 15
	}
	return uint16(pattern)
}
