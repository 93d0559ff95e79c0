// SPDX-License-Identifier: Apache-2.0

package plain

import (
	"bytes"
	"fmt"
	"strings"

	"provenance/zkprover/cmd/vectors/frozen"
	"provenance/zkprover/proof"
	"provenance/zkprover/verify"
)

// textCase is the text of a proof file, and whether verifiers must accept it. Rule names what is
// wrong (docs/formats/proofs.md, "Proof (JSON)").
type textCase struct {
	Name  string `json:"name"`
	Rule  string `json:"rule"`
	Text  []byte `json:"text"` // base64, since some are no UTF-8
	Valid bool   `json:"valid"`
}

// BadProofs are the texts of one frozen proof of a tree: as it is, in other permitted forms, and in
// forms that some reader of JSON takes for the same proof.
func BadProofs(folder string) (any, error) {
	file, vk, err := frozen.Load(folder, frozen.TreeFile)
	if err != nil {
		return nil, err
	}
	p, err := file.Cases[0].Proof.Parse()
	if err != nil {
		return nil, err
	}
	good, err := p.Marshal()
	if err != nil {
		return nil, err
	}
	cases := textCases(string(good))
	for _, c := range cases {
		parsed, err := proof.Parse(c.Text)
		if err == nil {
			err = verify.Verify(vk, parsed, verify.MaskNone)
		}
		if (err == nil) != c.Valid || c.Valid != (c.Rule == "") {
			return nil, fmt.Errorf("%s: %v", c.Name, err)
		}
		if c.Name != "as written" && bytes.Equal(c.Text, good) {
			return nil, fmt.Errorf("%s: nothing was changed", c.Name)
		}
	}
	return map[string]any{"source": "zk/prover/cmd/vectors", "words": file.Words, "cases": cases},
		nil
}

func textCases(good string) (list []textCase) {
	add := func(name, rule, text string) {
		list = append(list, textCase{name, rule, []byte(text), rule == ""})
	}
	add("as written", "", good)
	add("with space around it", "", " \n\t"+good+"\r\n")
	add("a name with an escape", "", strings.Replace(good, `"public"`, `"\u0070ublic"`, 1))
	for _, name := range []string{
		"format", "kind", "vkId", "a", "b", "c", "commitments", "poks", "public",
	} {
		member := memberOf(good, name)
		another := strings.ToUpper(name)
		if another == name {
			another = strings.ToLower(name)
		}
		twin := strings.Replace(member, name, another, 1)
		begin, rest := good[:1], good[1:]
		add(name+" in another case", "names", strings.Replace(good, member, twin, 1))
		add(name+" and the same in another case", "names", begin+twin+","+rest)
		add(name+" twice, alike", "doubled", begin+member+","+rest)
		add(name+" twice, the first one empty", "doubled", begin+`"`+name+`":[],`+rest)
		add(name+" twice, the last one empty", "doubled",
			good[:len(good)-1]+`,"`+name+`":[]}`)
		add(name+" is null", "type", strings.Replace(good, member, `"`+name+`":null`, 1))
		add(name+" is missing", "missing", without(good, member))
	}
	add("a name twice, once with an escape", "doubled",
		good[:1]+`"\u0061":["0x","0x"],`+good[1:])
	add("an unknown field", "unknown", good[:1]+`"x":1,`+good[1:])
	return append(list, otherTexts(good)...)
}

// otherTexts are wrong as a whole or in a number.
func otherTexts(good string) (list []textCase) {
	digits := strings.Index(good, `"vkId":"0x`) + len(`"vkId":"0x`)
	id := good[digits : digits+64]
	for _, c := range []struct{ name, rule, text string }{
		{"empty", "object", ""},
		{"a list", "object", "[" + good + "]"},
		{"a string", "object", `"` + "x" + `"`},
		{"null", "object", "null"},
		{"cut off", "object", good[:len(good)-1]},
		{"text after it", "object", good + "{}"},
		{"a mark of byte order", "object", "\xef\xbb\xbf" + good},
		{"bytes that are no UTF-8", "object", strings.Replace(good, `"tree"`, "\"tree\xff\"", 1)},
		{"a surrogate alone", "kind", strings.Replace(good, `"tree"`, `"tree\ud800"`, 1)},
		{"another kind", "kind", strings.Replace(good, `"tree"`, `"epoch"`, 1)},
		{"an unknown kind", "kind", strings.Replace(good, `"tree"`, `"trees"`, 1)},
		{"kind in another case", "kind", strings.Replace(good, `"tree"`, `"Tree"`, 1)},
		{"another format", "format", strings.Replace(good, proof.Format, "provenance-proof/2", 1)},
		{"upper-case digits", "number", strings.Replace(good, id, strings.ToUpper(id), 1)},
		{"a digit too few", "number", strings.Replace(good, id, id[1:], 1)},
		{"a digit too many", "number", strings.Replace(good, id, "0"+id, 1)},
		{"0X", "number", strings.Replace(good, "0x"+id, "0X"+id, 1)},
		{"no 0x", "number", strings.Replace(good, "0x"+id, id, 1)},
		{"a number of JSON", "number", strings.Replace(good, `"0x`+id+`"`, "1", 1)},
		{"null for a number", "number", strings.Replace(good, `"public":["0x`,
			`"public":[null,"0x`, 1)},
		{"a commitment that the kind has not", "length", strings.Replace(good,
			`"commitments":[]`, `"commitments":[["0x`+strings.Repeat("0", 64)+`","0x`+
				strings.Repeat("0", 64)+`"]]`, 1)},
		{"null for a commitment", "length", strings.Replace(good, `"commitments":[]`,
			`"commitments":[null]`, 1)},
	} {
		list = append(list, textCase{c.name, c.rule, []byte(c.text), false})
	}
	return list
}

// memberOf is the text of a field and its value. No value holds a text like that of a field.
func memberOf(text, name string) string {
	begin := strings.Index(text, `"`+name+`":`)
	depth := 0
	for i := begin; ; i++ {
		switch text[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',', '}':
			if depth == 0 {
				return text[begin:i]
			}
		}
	}
}

func without(text, member string) string {
	for _, with := range []string{member + ",", "," + member} {
		if strings.Contains(text, with) {
			return strings.Replace(text, with, "", 1)
		}
	}
	return text
}
