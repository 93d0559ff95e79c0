// SPDX-License-Identifier: Apache-2.0

// Package poseidon is the Poseidon hash over the scalar field of BN254 with the parameters of
// circomlib: S-box x^5, width t = n+1 for n = 1..16 inputs, 8 full rounds, the partial rounds of
// [partialRounds], capacity element 0, one output. There are two implementations, [Hash] over field
// elements and [Gadget.Hash] in a circuit; tests compare them.
//
// Source: Grassi, Khovratovich, Rechberger, Roy, Schofnegger, "Poseidon: A New Hash Function for
// Zero-Knowledge Proof Systems", USENIX Security 2021, sections 2 and 4, appendices B (equivalent
// sparse form) and E (Grain LFSR); circomlib's poseidon.circom for the round numbers and for which
// state element is read.
package poseidon
