package coin

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The cache answers as the profile does, remembered or not, in any order.
func TestAddressCacheAnswersAsTheProfile(t *testing.T) {
	p := profile(t, "monero")
	c, err := NewAddressCache(p, 64)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var asked []string
	for _, v := range addressVectors(t) {
		asked = append(asked, v.Address, v.Address[:94], "x"+v.Address, strings.Repeat(v.Address, 3))
	}
	asked = append(asked, "", "4")
	check := func(text string) {
		want, wantErr := p.ParseAddress(text)
		got, err := c.Parse(text)
		if got != want || (err == nil) != (wantErr == nil) || err != nil && err.Error() != wantErr.Error() {
			t.Errorf("%q: %v, %v; want %v, %v", text, got, err, want, wantErr)
		}
	}
	for range 20 {
		for _, text := range asked {
			check(text)
		}
	}
	c.cache.Wait() // what was not dropped is visible from here on
	before, _ := c.Stats()
	for _, text := range asked {
		check(text)
	}
	hits, misses := c.Stats()
	if hits == before || misses == 0 {
		t.Errorf("%d addresses known after %d, %d parsed", hits, before, misses)
	}
	const tooLong = 6 // of the above are refused before they reach the cache
	if want := uint64(21 * (len(asked) - tooLong)); hits+misses != want {
		t.Errorf("%d hits and %d misses, want %d together", hits, misses, want)
	}
}

// The text asked for may be a view of a buffer that is used again.
func TestAddressCacheKeepsItsOwnText(t *testing.T) {
	c, err := NewAddressCache(profile(t, "monero"), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good := addressVectors(t)[0].Address
	for range 10 {
		a, err := c.Parse(strings.Clone(good))
		if err != nil || a.String() != good {
			t.Fatalf("%v, %v", a, err)
		}
		if _, err := c.Parse(strings.Clone(good[1:])); !errors.Is(err, ErrBadBase58) && !errors.Is(err, ErrChecksum) {
			t.Fatal(err)
		}
		c.cache.Wait()
	}
}

// More addresses than entries, from several goroutines at once: the cache stays
// within its limit and never gives one wallet's answer to another.
func TestAddressCacheIsBounded(t *testing.T) {
	p := profile(t, "monero")
	const entries = 32
	c, err := NewAddressCache(p, entries)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var spend, view [32]byte
	copy(spend[:], base)
	copy(view[:], base)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := range 500 {
				id := [8]byte{byte(i), byte(i >> 8), byte(worker % 2)}
				text, err := p.EncodeAddress(Integrated, spend, view, id)
				if err != nil {
					t.Error(err)
					return
				}
				if a, err := c.Parse(text); err != nil || a.PaymentID != id || a.String() != text {
					t.Errorf("%s: %+v, %v", text, a, err)
				}
				if bad := text[:40] + "0" + text[41:]; !isBad(c, bad) {
					t.Errorf("%s is taken", bad)
				}
			}
		})
	}
	wg.Wait()
	c.cache.Wait()
	if left := c.cache.RemainingCost(); left < 0 || left > entries {
		t.Errorf("room for %d of %d entries", left, entries)
	}
}

func isBad(c *AddressCache, text string) bool {
	a, err := c.Parse(text)
	return errors.Is(err, ErrBadBase58) && a == Address{}
}

func TestAddressCacheAfterClose(t *testing.T) {
	c, err := NewAddressCache(profile(t, "monero"), 16)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	good := addressVectors(t)[0].Address
	for range 3 {
		if a, err := c.Parse(good); err != nil || a.String() != good {
			t.Errorf("%v, %v", a, err)
		}
	}
}

func TestNewAddressCacheRefuses(t *testing.T) {
	if _, err := NewAddressCache(profile(t, "monero"), 0); err == nil {
		t.Error("a cache of nothing")
	}
	if _, err := NewAddressCache(nil, 16); err == nil {
		t.Error("a cache of no coin")
	}
}

func TestCachedAddressAllocatesNothing(t *testing.T) {
	c, err := NewAddressCache(profile(t, "monero"), 16)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	good := addressVectors(t)[0].Address
	for range 100 { // a Set may be dropped
		if _, err := c.Parse(good); err != nil {
			t.Fatal(err)
		}
		c.cache.Wait()
		if hits, _ := c.Stats(); hits > 0 {
			break
		}
	}
	before, _ := c.Stats()
	if n := testing.AllocsPerRun(1000, func() {
		if _, err := c.Parse(good); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if hits, _ := c.Stats(); hits-before != 1001 {
		t.Errorf("%d of 1001 were known", hits-before)
	}
}

func BenchmarkCachedAddress(b *testing.B) {
	c, err := NewAddressCache(profile(b, "monero"), 10_000)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	text := addressVectors(b)[0].Address
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkNewAddressCache(b *testing.B) {
	p := profile(b, "monero")
	b.ReportAllocs() // the bytes are those of an empty cache
	for b.Loop() {
		c, err := NewAddressCache(p, 10_000)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
