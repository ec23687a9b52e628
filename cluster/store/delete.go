package store

import (
	"context"
	"fmt"
)

// scanCount is the keys that one SCAN looks at, and UNLINK takes at once.
const scanCount = 512

// DeletePool deletes every key of a pool, on whichever server it is, and tells how
// many there were. Nobody may write to the pool meanwhile.
func (s *Store) DeletePool(ctx context.Context, pool string) (deleted int, err error) {
	keys, err := NewKeys(pool)
	if err != nil {
		return 0, err
	}
	for _, node := range s.client.Nodes() {
		for cursor := uint64(0); ; {
			page, err := node.Do(ctx, node.B().Scan().Cursor(cursor).Match(keys.tag+"*").Count(scanCount).Build()).AsScanEntry()
			if err != nil {
				return deleted, fmt.Errorf("list the keys of pool %s: %w", pool, err)
			}
			if len(page.Elements) > 0 {
				// One tag, one slot: they may go in one command.
				n, err := s.client.Do(ctx, s.client.B().Unlink().Key(page.Elements...).Build()).AsInt64()
				if err != nil {
					return deleted, fmt.Errorf("delete keys of pool %s: %w", pool, err)
				}
				deleted += int(n)
			}
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return deleted, nil
}
