package ledger

import (
	"strings"

	"github.com/assay-pool/assay/cluster/store"
)

// restoreLua makes a Redis what a snapshot has, in one moment, as a restart with an
// older file does: nothing comes between.
const restoreLua = `
redis.call('FLUSHALL', 'SYNC')
for i = 1, #ARGV, 2 do redis.call('RESTORE', ARGV[i], 0, ARGV[i + 1]) end
return 1`

// snapshot reads all that a Redis has.
func (b *bed) snapshot() (parts []string) {
	b.Helper()
	keys, err := b.st.DoRepeatable(testCtx(b.TB), "KEYS", "*").AsStrSlice()
	if err != nil {
		b.Fatal(err)
	}
	for _, key := range keys {
		if strings.Contains(key, ":rate:") {
			continue // ends by itself, maybe in this moment
		}
		m, err := b.st.DoRepeatable(testCtx(b.TB), "DUMP", key).ToMessage()
		if err != nil {
			b.Fatal(err)
		}
		value, err := m.ToString()
		if err != nil {
			b.Fatal(err)
		}
		parts = append(parts, key, value)
	}
	return parts
}

// restore makes Redis what it was.
func (b *bed) restore(parts []string) {
	b.Helper()
	if err := b.st.EvalRepeatable(testCtx(b.TB), store.NewScript("restore", restoreLua), []string{"any"}, parts).Error(); err != nil {
		b.Fatal(err)
	}
}
