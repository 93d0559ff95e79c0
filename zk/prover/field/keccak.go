// SPDX-License-Identifier: Apache-2.0

package field

import "golang.org/x/crypto/sha3"

// Keccak is the keccak-256 of the data, as the EVM computes it: with the padding of Keccak, not
// that of SHA-3 (FIPS 202).
func Keccak(data []byte) Word {
	h := sha3.NewLegacyKeccak256()
	h.Write(data) // a hash's Write returns no error
	return Word(h.Sum(nil))
}
