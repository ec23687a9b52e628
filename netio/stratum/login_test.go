package stratum

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
)

func TestParseLogin(t *testing.T) {
	tests := []struct {
		login, pass, rigid string
		address, worker    string
		difficulty         uint64
		want               error
	}{
		{"4A", "x", "", "4A", DefaultWorker, 0, nil},
		{"4A", "", "", "4A", DefaultWorker, 0, nil},
		{"4A", "X", "X", "4A", DefaultWorker, 0, nil},
		{" 4A ", "x", "", "4A", DefaultWorker, 0, nil},
		{"4A.rig", "x", "", "4A", "rig", 0, nil},
		{"4A.rig+5000", "x", "", "4A", "rig", 5000, nil},
		{"4A+5000.rig", "x", "", "4A", "rig", 5000, nil},
		{"4A+5000", "x", "", "4A", DefaultWorker, 5000, nil},
		{"4A", "rig:me@example.org", "", "4A", "rig", 0, nil},
		{"4A", "rig", "other", "4A", "other", 0, nil},
		{"4A.first", "rig", "other", "4A", "first", 0, nil},
		{"4A.", "rig", "", "4A", "rig", 0, nil},
		{"4A.a.b", "x", "", "4A", "a.b", 0, nil},
		{"4A.ферма-7+5000", "x", "", "4A", "ферма-7", 5000, nil},
		{"4A+5000.矿机七", "x", "", "4A", "矿机七", 5000, nil},
		{"4A", "x", "ריג", "4A", "ריג", 0, nil},
		{"4A.\u00a0rig\u3000", "x", "", "4A", "rig", 0, nil},
		{"4A+18446744073709551615", "x", "", "4A", DefaultWorker, math.MaxUint64, nil},
		{"4A+007", "x", "", "4A", DefaultWorker, 7, nil},
		{"4A+18446744073709551616", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+" + strings.Repeat("9", 200), "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+0", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+-5", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+1e3", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+1.5", "x", "", "4A", "5", 1, nil}, // a worker called 5
		{"4A+NaN", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+inf", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A+", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A.rig+", "x", "", "4A", "", 0, ErrDifficulty},
		{"4A.rig+abc", "x", "", "4A", "", 0, ErrDifficulty},
		{"", "x", "", "", "", 0, ErrNoAddress},
		{".rig", "x", "", "", "", 0, ErrNoAddress},
		{"+5", "x", "", "", "", 0, ErrNoAddress},
	}
	for _, tt := range tests {
		t.Run(tt.login+" "+tt.pass+" "+tt.rigid, func(t *testing.T) {
			c, err := ParseLogin([]byte(tt.login), []byte(tt.pass), []byte(tt.rigid))
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if string(c.Address) != tt.address || c.Worker != tt.worker || c.Difficulty != tt.difficulty {
				t.Fatalf("read %q %q %d", c.Address, c.Worker, c.Difficulty)
			}
		})
	}
}

func checkCredentials(t *testing.T, login []byte, c Credentials) {
	t.Helper()
	if len(c.Address) == 0 || bytes.ContainsAny(c.Address, ".+") || !bytes.Contains(login, c.Address) {
		t.Fatalf("address %q of %q", c.Address, login)
	}
	checkWorker(t, c.Worker)
}

func FuzzParseLogin(f *testing.F) {
	f.Add([]byte("4A.rig+5000"), []byte("x"), []byte("r"))
	f.Add([]byte("4A+5.rig"), []byte("a:b"), []byte(""))
	f.Add([]byte("+.+."), []byte(":"), []byte("\x00"))
	f.Add([]byte("4A.ферма 7+5"), []byte("矿机:b"), []byte("e\u0301"))
	f.Fuzz(func(t *testing.T, login, pass, rigid []byte) {
		c, err := ParseLogin(login, pass, rigid)
		if err == nil {
			checkCredentials(t, login, c)
		}
	})
}
