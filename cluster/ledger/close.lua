-- Closes the current round with a block, once per block id.
--
-- KEYS  1 mark  2 round number  3 blocks  4 block record  5 stats
--       6 round hashes  7 round shares  8 round total  9 prefix of a frozen round
-- ARGV  seq, mark TTL s, block id, now ms, then (field, value)* of the record
-- reply {'ok', round} | {'known', round}: the id had closed that round before
--       | {'dup', mark} | {'gap', mark} | {'half', mark}
--       | {'corrupt', text}
--
-- Frozen keys are <prefix><number>:hashes and so on; they carry the pool's hash
-- tag, hence the slot of the declared ones.

local mark, numberKey, blocks, block, stats = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local rTotal, prefix = KEYS[8], KEYS[9]
local seq, markTTL, id, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

local no = check(mark, seq)
if no then return no end

local known = redis.call('HGET', block, 'round')
if known then
  finish(mark, seq, markTTL)
  return {'known', known}
end

local n = redis.call('GET', numberKey) or '1'
if not string.match(n, '^%d+$') then return {'corrupt', numberKey .. ' is ' .. n} end
local frozen = prefix .. n
if redis.call('EXISTS', frozen .. ':total') == 1 then
  return {'corrupt', frozen .. ':total exists, but ' .. numberKey .. ' says that round is open'}
end

begin(mark, seq)
-- An empty round has no keys yet; its total is written all the same.
local hashes = redis.call('HGET', rTotal, 'hashes') or '0'
local shares = redis.call('HGET', rTotal, 'shares') or '0'
redis.call('HSETNX', rTotal, 'started', now)
redis.call('HSET', rTotal, 'hashes', hashes, 'shares', shares, 'closed', now, 'block', id)
for i, part in ipairs({':hashes', ':shares', ':total'}) do
  local key = KEYS[5 + i]
  if redis.call('EXISTS', key) == 1 then redis.call('RENAME', key, frozen .. part) end
end
redis.call('HSET', block, 'id', id, 'round', n, 'hashes', hashes, 'shares', shares, 'closed', now)
for i = 5, #ARGV, 2 do redis.call('HSET', block, ARGV[i], ARGV[i + 1]) end
redis.call('ZADD', blocks, n, id)
redis.call('HINCRBY', stats, 'blocks', 1)
redis.call('SET', numberKey, n)
redis.call('INCR', numberKey)
finish(mark, seq, markTTL)
return {'ok', n}
