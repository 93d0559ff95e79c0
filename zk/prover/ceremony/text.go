// SPDX-License-Identifier: Apache-2.0

package ceremony

import (
	"encoding/hex"
	"strings"
	"unicode"
	"unicode/utf8"

	"provenance/zkprover/fault"
	"provenance/zkprover/keys"
)

const (
	maxNameBytes   = 64
	maxSourceBytes = 200
	beaconBytes    = 32
)

func checkText(what, text string, limit int) error {
	printable := utf8.ValidString(text) && strings.IndexFunc(text, func(r rune) bool {
		return !unicode.IsPrint(r)
	}) < 0
	if text == "" || len(text) > limit || !printable || strings.TrimSpace(text) != text {
		return fault.New(fault.BadFile,
			"%s is not 1 to %d bytes of printable text without space around it", what, limit)
	}
	return nil
}

func checkBeacon(b keys.Beacon) error {
	value, err := hex.DecodeString(b.Value)
	if err != nil || len(value) != beaconBytes || strings.ToLower(b.Value) != b.Value ||
		strings.Trim(b.Value, "0") == "" {
		return fault.Differs(fault.BadFile, "beacon",
			"64 lower-case hex digits, not all zero", b.Value)
	}
	return checkText("beacon's source", b.Source, maxSourceBytes)
}

// beaconValue is the beacon's 32 bytes; its form was checked.
func beaconValue(b *keys.Beacon) []byte {
	value, err := hex.DecodeString(b.Value)
	if err != nil {
		panic(err)
	}
	return value
}
