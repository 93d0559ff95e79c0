// SPDX-License-Identifier: Apache-2.0

package order

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/big"
	"testing"

	"provenance/zkprover/internal/fixture"
)

// obvious is the order as the format document words it, in big integers, hashing anew for every
// word.
func obvious(seed [32]byte, epoch uint64, count int) []int64 {
	a := make([]int64, count)
	for i := range a {
		a[i] = int64(i)
	}
	whole := new(big.Int).Lsh(big.NewInt(1), 64)
	next := int64(0)
	uniform := func(bound int64) int64 {
		b := big.NewInt(bound)
		limit := new(big.Int).Sub(whole, new(big.Int).Mod(whole, b))
		for {
			text := "provenance/v1/order\x00" + string(seed[:]) +
				mustHex(fmt.Sprintf("%016x%016x", epoch, next/4))
			digest := sha256.Sum256([]byte(text))
			w := new(big.Int).SetBytes(digest[next%4*8 : next%4*8+8])
			next++
			if w.Cmp(limit) < 0 {
				return new(big.Int).Mod(w, b).Int64()
			}
		}
	}
	for i := count - 1; i >= 1; i-- {
		j := uniform(int64(i + 1))
		a[i], a[j] = a[j], a[i]
	}
	return a
}

func mustHex(text string) string {
	b, err := hex.DecodeString(text)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func TestShuffleIsTheObviousOne(t *testing.T) {
	for _, count := range []int{1, 2, 3, 17, 300} {
		for _, epoch := range []uint64{0, 7, 1 << 63} {
			seed := sha256.Sum256([]byte{byte(count)})
			got, err := Shuffle(seed, epoch, count)
			if err != nil {
				t.Fatal(err)
			}
			if want := obvious(seed, epoch, count); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("count %d epoch %d: got %v, want %v", count, epoch, got, want)
			}
		}
	}
}

func TestSharedVectors(t *testing.T) {
	var file struct {
		Cases []struct {
			Name, Seed string
			Epoch      uint64
			Count      int
			Order      []uint64
			SHA256     string
		}
	}
	fixture.Vectors(t, "order.json", &file)
	for _, c := range file.Cases {
		a, err := Shuffle([32]byte([]byte(mustHex(c.Seed[2:]))), c.Epoch, c.Count)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha256.Sum256(Bytes(a))
		if hex.EncodeToString(digest[:]) != c.SHA256 ||
			fmt.Sprint(a[:len(c.Order)]) != fmt.Sprint(c.Order) {
			t.Errorf("%s differs", c.Name)
		}
	}
}

func TestInvertAndParse(t *testing.T) {
	a, err := Shuffle([32]byte{1}, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	inverse, err := Invert(a)
	if err != nil {
		t.Fatal(err)
	}
	for h, leaf := range a {
		if inverse[leaf] != uint64(h) {
			t.Fatalf("inverse of %d is %d, want %d", leaf, inverse[leaf], h)
		}
	}
	back, err := Parse(Bytes(a))
	if err != nil || fmt.Sprint(back) != fmt.Sprint(a) {
		t.Fatal("Parse does not undo Bytes")
	}
	for _, bad := range [][]uint64{{0, 0}, {1, 2}, {0, 1 << 63}} {
		if _, err := Invert(bad); err == nil {
			t.Errorf("%v was taken for a permutation", bad)
		}
	}
	if _, err := Parse(make([]byte, 9)); err == nil {
		t.Error("nine bytes were parsed")
	}
	for _, count := range []int{0, -1, MaxCount + 1} {
		if _, err := Shuffle([32]byte{}, 0, count); err == nil {
			t.Errorf("count %d was accepted", count)
		}
	}
}
