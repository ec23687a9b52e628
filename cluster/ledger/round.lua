-- Reads one round as of one moment.
-- KEYS  1 round number  2 hashes  3 shares  4 total
-- reply {number of the current round, hashes…, shares…, total…} (flat field, value lists)
return {redis.call('GET', KEYS[1]) or '1', redis.call('HGETALL', KEYS[2]),
  redis.call('HGETALL', KEYS[3]), redis.call('HGETALL', KEYS[4])}
