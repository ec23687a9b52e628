package randomx

import (
	"encoding/hex"
	"fmt"
)

// selfTestKey and selfTestVectors are tests a to c of tevador/RandomX,
// src/tests/tests.cpp: one seed, so that one cache is filled, and three inputs,
// so that first, next and last all take part.
const selfTestKey = "test key 000"

func selfTestVectors() [][2]string {
	return [][2]string{
		{"This is a test", "639183aae1bf4c9a35884cb46b09cad9175f04efd7684e7262a0ac1c2f0b4e3f"},
		{"Lorem ipsum dolor sit amet", "300a0adb47603dedb42228ccb2b211104f4da45af709cd7547cd049e9489c969"},
		{"sed do eiusmod tempor incididunt ut labore et dolore magna aliqua", "c36d4ed4191e617309867ed66a443be4075014e2b061bcdaf9ce7b721d2b77a8"},
	}
}

// SelfTest hashes public vectors in light mode, with the flags and the memory
// that shares will get. A node whose self-test fails must not start. It takes
// about half a second and leaves its cache, warm, to the first seed.
func (m *Manager) SelfTest() error {
	m.mu.Lock()
	if m.closed {
		m.mu.Unlock()
		return ErrClosed
	}
	m.hashing++ // Close waits for it
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		m.hashing--
		m.idle.Broadcast()
		m.mu.Unlock()
		m.poke()
	}()
	if err := m.selfTest(); err != nil {
		return fmt.Errorf("RandomX self-test: %w", err)
	}
	return nil
}

func (m *Manager) selfTest() error {
	c, err := m.filledCache([]byte(selfTestKey), 0)
	if err != nil {
		return err
	}
	defer func() {
		m.mu.Lock()
		m.freeCaches = append(m.freeCaches, c)
		m.mu.Unlock()
	}()
	vm, err := m.lib.newLightVM(c)
	if err != nil {
		return err
	}
	defer vm.free()
	in, lens := selfTestBatch()
	out := make([]byte, hashBytes*len(lens))
	if err := vm.hash(in, lens, out); err != nil {
		return err
	}
	return checkSelfTest(m.lib, out)
}

// selfTestBatch is the vectors' inputs as one batch.
func selfTestBatch() (in []byte, lens []uint32) {
	for _, v := range selfTestVectors() {
		in = append(in, v[0]...)
		lens = append(lens, uint32(len(v[0])))
	}
	return in, lens
}

// checkSelfTest compares the hashes of selfTestBatch with the public ones.
func checkSelfTest(lib library, out []byte) error {
	for i, v := range selfTestVectors() {
		if got := hex.EncodeToString(out[hashBytes*i : hashBytes*(i+1)]); got != v[1] {
			return fmt.Errorf("%s hashes %q to %s, not %s", lib.describe(), v[0], got, v[1])
		}
	}
	return nil
}
