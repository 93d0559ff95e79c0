// SPDX-License-Identifier: Apache-2.0

package proof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"
)

// fieldNames are the fields of a proof. Each is there once.
var fieldNames = []string{
	"format", "kind", "vkId", "a", "b", "c", "commitments", "poks", "public",
}

// requireFields requires that an untrusted text begins with an object that has exactly the fields
// of a proof, each once, under exactly its name and not null. encoding/json alone takes a name in
// any case, the last of several equal names, null for an empty list and bytes that are no UTF-8. A
// reader that takes another of two fields would see another proof.
func requireFields(text []byte) error {
	if !utf8.Valid(text) {
		return fmt.Errorf("text is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	if begin, err := decoder.Token(); err != nil || begin != json.Delim('{') {
		return fmt.Errorf("want an object")
	}
	seen := map[string]bool{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return err
		}
		field, _ := name.(string) // a name is always a string
		if seen[field] || !slices.Contains(fieldNames, field) {
			return fmt.Errorf("field %q is unknown or there twice, want each of %q once", field,
				fieldNames)
		}
		seen[field] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return err
		}
		if string(value) == "null" {
			return fmt.Errorf("field %q is null", field)
		}
	}
	if len(seen) != len(fieldNames) {
		return fmt.Errorf("%d fields, want each of %q once", len(seen), fieldNames)
	}
	return nil
}
