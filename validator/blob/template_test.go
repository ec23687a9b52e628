package blob

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"testing"
)

type blockVector struct {
	Name        string `json:"name"`
	Height      uint64 `json:"height"`
	Block       string `json:"block_hex"`
	Hashing     string `json:"hashing_blob_hex"`
	Root        string `json:"tree_root_hex"`
	ID          string `json:"block_id_hex"`
	NonceOffset int    `json:"nonce_offset"`
	ObjectHash  string `json:"computed_object_hash_hex"`
}

func TestPublishedBlocks(t *testing.T) {
	var vectors []blockVector
	readVectors(t, "blocks.json", &vectors)
	whole := 0
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			id := v.ID
			if v.ObjectHash != "" { // the block whose id consensus overrides
				id = v.ObjectHash
			}
			if got := BlockID(unhex(t, v.Hashing)); got != unhex32(t, id) {
				t.Errorf("block id %x, want %s", got, id)
			}
			if v.Block == "" {
				return
			}
			whole++
			raw := unhex(t, v.Block)
			tpl, err := Parse(CryptoNote, raw, 0)
			if err != nil {
				t.Fatal(err)
			}
			if got := tpl.AppendHashing(nil, nil); !bytes.Equal(got, unhex(t, v.Hashing)) {
				t.Errorf("hashing blob %x\nwant %s", got, v.Hashing)
			}
			if tpl.NonceOffset != v.NonceOffset || tpl.HashingNonceOffset() != v.NonceOffset {
				t.Errorf("nonce at %d, want %d", tpl.NonceOffset, v.NonceOffset)
			}
			if v.Root != "" && tpl.Height != v.Height {
				t.Errorf("height %d, want %d", tpl.Height, v.Height)
			}
			if got := tpl.AppendBlock(nil, nil, binary.LittleEndian.Uint32(tpl.Nonce[:])); !bytes.Equal(got, raw) {
				t.Errorf("written again: %x", got)
			}
		})
	}
	if len(vectors) != 6 || whole != 5 {
		t.Errorf("%d vectors, %d whole blocks", len(vectors), whole)
	}
}

// The facts of a mainnet template of 35 transactions, read by hand.
func TestModernTemplate(t *testing.T) {
	tpl, err := Parse(CryptoNote, modernTemplate(t), 17)
	if err != nil {
		t.Fatal(err)
	}
	want := Template{Major: 16, Minor: 16, Height: 3196645, UnlockTime: 3196705, TxVersion: 2, TxCount: 35,
		NonceOffset: 39, ReservedOffset: 131, ReserveSize: 17}
	got := Template{Major: tpl.Major, Minor: tpl.Minor, Height: tpl.Height, UnlockTime: tpl.UnlockTime, TxVersion: tpl.TxVersion,
		TxCount: tpl.TxCount, NonceOffset: tpl.NonceOffset, ReservedOffset: tpl.ReservedOffset, ReserveSize: tpl.ReserveSize}
	if !sameFacts(&got, &want) {
		t.Errorf("got %+v", facts(&got))
	}
	if err := tpl.CheckOffsets(131); err != nil {
		t.Error(err)
	}
	if err := tpl.CheckOffsets(130); err == nil {
		t.Error("a wrong offset of the daemon is not noticed")
	}
	if len(tpl.branch) != 5 {
		t.Errorf("branch of %d hashes for 36 leaves", len(tpl.branch))
	}
}

func facts(t *Template) []uint64 {
	return []uint64{uint64(t.Major), uint64(t.Minor), t.Height, t.UnlockTime, t.TxVersion, uint64(t.TxCount),
		uint64(t.NonceOffset), uint64(t.ReservedOffset), uint64(t.ReserveSize)}
}

func sameFacts(a, b *Template) bool { return slices.Equal(facts(a), facts(b)) }

func modernTemplate(t testing.TB) []byte {
	var vectors []blockVector
	readVectors(t, "blocks.json", &vectors)
	for _, v := range vectors {
		if v.Name == "fork-util-xmr" {
			return unhex(t, v.Block)
		}
	}
	t.Fatal("no modern template in the vectors")
	return nil
}

type daemonVector struct {
	Name           string `json:"name"`
	Height         uint64 `json:"height"`
	Major          uint8  `json:"major"`
	ReserveSize    int    `json:"reserve_size"`
	Template       string `json:"template_hex"`
	Hashing        string `json:"template_hashing_hex"`
	ReservedOffset int    `json:"reserved_offset"`
	Prev           string `json:"prev_hash"`
	Reward         uint64 `json:"reward"`
	Extra          string `json:"extra_hex"`
	Nonce          uint32 `json:"nonce"`
	Block          string `json:"block_hex"`
	ID             string `json:"block_id_hex"`
	MinerTx        string `json:"miner_tx_hash"`
}

// What a real monerod offered, and what it made of the blocks sent back with an
// extra nonce and a nonce of ours: major 16 on regtest, major 1 on testnet.
func TestRecordedDaemon(t *testing.T) {
	var vectors []daemonVector
	readVectors(t, "daemon.json", &vectors)
	if len(vectors) != 4 {
		t.Fatalf("%d vectors", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			tpl, err := Parse(CryptoNote, unhex(t, v.Template), v.ReserveSize)
			if err != nil {
				t.Fatal(err)
			}
			if err := tpl.CheckOffsets(v.ReservedOffset); err != nil {
				t.Error(err)
			}
			if tpl.Height != v.Height || tpl.Major != v.Major || tpl.Prev != unhex32(t, v.Prev) || tpl.Reward != v.Reward ||
				tpl.UnlockTime != v.Height+60 || tpl.ReserveSize != v.ReserveSize || tpl.TxCount != 0 {
				t.Errorf("facts %v, prev %x, reward %d", facts(tpl), tpl.Prev, tpl.Reward)
			}
			zero := make([]byte, v.ReserveSize)
			if got := tpl.AppendHashing(nil, zero); !bytes.Equal(got, unhex(t, v.Hashing)) {
				t.Errorf("hashing blob %x\nwant %s", got, v.Hashing)
			}
			extra := unhex(t, v.Extra)
			if got := tpl.AppendBlock(nil, extra, v.Nonce); !bytes.Equal(got, unhex(t, v.Block)) {
				t.Errorf("block %x\nwant %s", got, v.Block)
			}
			hashing := tpl.AppendHashing(nil, extra)
			binary.LittleEndian.PutUint32(hashing[tpl.HashingNonceOffset():], v.Nonce)
			if got := BlockID(hashing); got != unhex32(t, v.ID) {
				t.Errorf("block id %x, want %s", got, v.ID)
			}
			// The root over the miner tx alone is its own hash.
			root := hashing[len(hashing)-33 : len(hashing)-1]
			if !bytes.Equal(root, unhex(t, v.MinerTx)) {
				t.Errorf("miner tx %x, want %s", root, v.MinerTx)
			}
		})
	}
}

// plainHashing rebuilds a hashing blob with nothing cached: the block is
// written, read again from its bytes and hashed as a whole.
func plainHashing(t testing.TB, tpl *Template, extra []byte) []byte {
	t.Helper()
	block := tpl.AppendBlock(nil, extra, binary.LittleEndian.Uint32(tpl.Nonce[:]))
	again, err := Parse(tpl.Type, block, len(extra))
	if err != nil {
		t.Fatalf("own block: %v", err)
	}
	uncle := block[len(block):]
	if tpl.Type == MasariUncle {
		uncle = block[len(block)-32:]
	}
	leaves := make([][32]byte, 1+again.TxCount)
	ids := block[len(block)-len(uncle)-32*again.TxCount:]
	for i := range again.TxCount {
		copy(leaves[1+i][:], ids[32*i:])
	}
	prefix := Keccak256(block[again.txStart:again.prefixEnd])
	if tpl.Type == Ryo {
		prefix = Keccak256([]byte("ryo-currency"), block[again.txStart:again.prefixEnd])
	}
	leaves[0] = prefix
	if again.TxVersion >= 2 || tpl.Type == MasariUncle {
		null := Keccak256([]byte{0})
		leaves[0] = Keccak256(prefix[:], null[:], make([]byte, 32))
	}
	root := plainTree(leaves)
	out := append(slices.Clone(block[:again.txStart]), root[:]...)
	return append(AppendVarint(out, uint64(again.TxCount)+1), uncle...)
}

func TestHashingAgainstPlain(t *testing.T) {
	for _, txs := range []int{0, 1, 2, 3, 4, 7, 8, 35, 126, 127, 128, 512, 513, 514, 515} {
		for version := uint64(1); version <= 2; version++ {
			for _, reserve := range []int{12, 17, 127, 128, 255} {
				s := goodSample()
				s.txs, s.txCount, s.version = txs, uint64(txs), version
				if version == 1 {
					s.rct, s.outputType = nil, outputKey
					s.amounts = []uint64{1, 20, 300, 4000, 50_000, 600_000} // as coinbases were before 2017
				}
				s.extra = append(publicKeyField(), nonceField(reserve)...)
				raw := s.bytes()
				tpl, err := Parse(CryptoNote, raw, 12)
				if err != nil {
					t.Fatalf("%d txs, version %d: %v", txs, version, err)
				}
				if want := bytes.Index(raw, nonceField(reserve)) + len(nonceField(reserve)) - reserve; tpl.ReservedOffset != want || tpl.ReserveSize != reserve {
					t.Fatalf("reserve of %d at %d, want %d at %d", tpl.ReserveSize, tpl.ReservedOffset, reserve, want)
				}
				var last []byte
				for _, extra := range [][]byte{nil, make([]byte, 12), []byte("twelve bytes"), bytes.Repeat([]byte{0xFF}, reserve)} {
					got := tpl.AppendHashing([]byte("front"), extra)
					if want := append([]byte("front"), plainHashing(t, tpl, extra)...); !bytes.Equal(got, want) {
						t.Fatalf("%d txs, version %d, extra %x:\n%x, want\n%x", txs, version, extra, got, want)
					}
					if again := tpl.AppendWithRoot([]byte("front"), tpl.Root(extra)); !bytes.Equal(again, got) {
						t.Fatalf("%d txs, version %d, extra %x: with the root kept\n%x, want\n%x", txs, version, extra, again, got)
					}
					if len(extra) > 0 && extra[0] != 0 && bytes.Equal(got, last) {
						t.Fatalf("extra %x makes no difference", extra)
					}
					last = got
				}
			}
		}
	}
}

func TestTemplateIsIndependentOfItsInput(t *testing.T) {
	raw := goodSample().bytes()
	tpl, err := Parse(CryptoNote, raw, 12)
	if err != nil {
		t.Fatal(err)
	}
	before := tpl.AppendHashing(nil, []byte("twelve bytes"))
	for i := range raw {
		raw[i] = 0xEE
	}
	block := tpl.AppendBlock(nil, []byte("other  bytes"), math.MaxUint32)
	for i := range block {
		block[i] = 0xEE
	}
	if after := tpl.AppendHashing(nil, []byte("twelve bytes")); !bytes.Equal(before, after) {
		t.Error("the template changed with its input or its output")
	}
}

func TestAppendHashingConcurrently(t *testing.T) {
	tpl, err := Parse(CryptoNote, modernTemplate(t), 12)
	if err != nil {
		t.Fatal(err)
	}
	var wanted [8][]byte
	for i := range wanted {
		wanted[i] = plainHashing(t, tpl, bytes.Repeat([]byte{byte(i)}, 12))
	}
	var wg sync.WaitGroup
	for i := range wanted {
		wg.Go(func() {
			extra := bytes.Repeat([]byte{byte(i)}, 12)
			for range 200 {
				if got := tpl.AppendHashing(nil, extra); !bytes.Equal(got, wanted[i]) {
					t.Errorf("extra %d: %x", i, got)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestAppendHashingAllocatesNothing(t *testing.T) {
	tpl, err := Parse(CryptoNote, modernTemplate(t), 12)
	if err != nil {
		t.Fatal(err)
	}
	dst, block := make([]byte, 0, 128), make([]byte, 0, 2048)
	var count byte
	if n := testing.AllocsPerRun(1000, func() {
		count++
		extra := [12]byte{count} // must not escape
		dst = tpl.AppendHashing(dst[:0], extra[:])
		root := tpl.Root(extra[:])
		dst = tpl.AppendWithRoot(dst[:0], root)
		block = tpl.AppendBlock(block[:0], extra[:], 7)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestExtraBeyondTheReserve(t *testing.T) {
	tpl, err := Parse(CryptoNote, goodSample().bytes(), 12)
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func(){
		"hashing": func() { tpl.AppendHashing(nil, make([]byte, 13)) },
		"root":    func() { tpl.Root(make([]byte, 13)) },
		"block":   func() { tpl.AppendBlock(nil, make([]byte, 13), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("13 bytes were written into a reserve of 12")
				}
			}()
			call()
		})
	}
}

func BenchmarkAppendHashing(b *testing.B) {
	for _, txs := range []int{0, 35, 500} {
		b.Run(map[int]string{0: "txs-0", 35: "txs-35", 500: "txs-500"}[txs], func(b *testing.B) {
			s := goodSample()
			s.txs, s.txCount = txs, uint64(txs)
			tpl, err := Parse(CryptoNote, s.bytes(), 12)
			if err != nil {
				b.Fatal(err)
			}
			dst, extra := make([]byte, 0, 128), make([]byte, 12)
			b.ReportAllocs()
			for b.Loop() {
				extra[11]++
				dst = tpl.AppendHashing(dst[:0], extra)
			}
		})
	}
}

// BenchmarkAppendWithRoot is what a share's input costs once its job has the root.
func BenchmarkAppendWithRoot(b *testing.B) {
	tpl, err := Parse(CryptoNote, modernTemplate(b), 12)
	if err != nil {
		b.Fatal(err)
	}
	root, dst := tpl.Root(make([]byte, 12)), make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		dst = tpl.AppendWithRoot(dst[:0], root)
	}
}

func BenchmarkParse(b *testing.B) {
	raw := modernTemplate(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(CryptoNote, raw, 12); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHashDifficulty(b *testing.B) {
	hash := [32]byte{0: 1, 26: 0x12, 15: 9}
	b.ReportAllocs()
	for b.Loop() {
		if HashDifficulty(&hash).IsZero() {
			b.Fatal("worthless")
		}
	}
}
