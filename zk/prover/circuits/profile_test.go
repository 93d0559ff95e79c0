// SPDX-License-Identifier: Apache-2.0

package circuits

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/consensys/gnark/profile"
	pprof "github.com/google/pprof/profile"

	"provenance/zkprover/kinds"
)

// go test ./circuits -run Profile -v prints where the circuits of quantized blocks spend their
// constraints: by the innermost functions of gadgets, each with the one that called it.
func TestProfile(t *testing.T) {
	for _, shape := range []Shape{{kinds.Q8_0, 1, 3}, {kinds.Int8, 1, 3}} {
		path := filepath.Join(t.TempDir(), "profile")
		p := profile.Start(profile.WithPath(path))
		system := compile(t, shape)
		p.Stop()
		spent := readProfile(t, path)
		total := 0
		for _, count := range spent {
			total += count
		}
		if want := system.GetNbConstraints(); total != want {
			t.Errorf("%v: %d constraints are counted of %d", shape, total, want)
		}
		t.Logf("%v: %d constraints", shape, total)
		for _, name := range slices.SortedFunc(maps.Keys(spent), func(a, b string) int {
			return cmp.Compare(spent[b], spent[a])
		}) {
			t.Logf("%6d %s", spent[name], name)
		}
	}
}

func readProfile(t *testing.T, path string) map[string]int {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	parsed, err := pprof.Parse(file)
	if err != nil {
		t.Fatal(err)
	}
	spent := map[string]int{}
	for _, sample := range parsed.Sample {
		var ours []string
		for _, location := range sample.Location {
			function := location.Line[0].Function
			if strings.Contains(function.Filename, "/gadgets/") &&
				!strings.HasPrefix(function.Name, "rankone.") {
				ours = append(ours, function.Name)
			}
		}
		ours = append(ours, "circuit", "")
		spent[ours[0]+" < "+ours[1]] += int(sample.Value[0])
	}
	return spent
}
