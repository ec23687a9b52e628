package server

import (
	"net/netip"
	"reflect"
	"testing"
	"time"
)

// TestFreeSharesKeepNothing: what is on a loop's free list keeps no session, no
// template and nobody's name alive.
func TestFreeSharesKeepNothing(t *testing.T) {
	b := newBare(t, DefaultJobShares)
	b.submit(1)
	b.submit(2)
	if len(b.loop.free) != 1 {
		t.Fatalf("%d free shares", len(b.loop.free))
	}
	sub := reflect.ValueOf(b.loop.free[0]).Elem()
	if name := keeps(sub, "submission"); name != "" {
		t.Errorf("a free share keeps its %s", name)
	}
	b.loop.free[0].share.Worker = "x"
	if name := keeps(sub, "submission"); name != "submission.share.Worker" {
		t.Errorf("this test finds %q", name)
	}
}

// keeps finds a field that refers to memory of others; "" if there is none.
func keeps(v reflect.Value, name string) string {
	switch v.Kind() {
	case reflect.Struct:
		switch v.Type() {
		case reflect.TypeFor[netip.Addr](), reflect.TypeFor[time.Time]():
			return "" // they refer to what is the process's
		}
		for i := range v.NumField() {
			if found := keeps(v.Field(i), name+"."+v.Type().Field(i).Name); found != "" {
				return found
			}
		}
	case reflect.Pointer, reflect.Interface, reflect.String, reflect.Slice, reflect.Map, reflect.Func, reflect.Chan:
		if !v.IsZero() {
			return name
		}
	}
	return ""
}
