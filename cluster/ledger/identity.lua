-- Ties a pool's keys to a coin and a wallet: those of the first to ask.
--
-- KEYS  1 identity, then keys of an earlier layout      ARGV  coin, wallet, layout
-- reply {coin, wallet, layout} that have the pool
local earlier = 0
for i = 2, #KEYS do earlier = earlier + redis.call('EXISTS', KEYS[i]) end
local known = redis.call('EXISTS', KEYS[1]) == 1
if not known and earlier == 0 then
  redis.call('HSET', KEYS[1], 'coin', ARGV[1], 'wallet', ARGV[2], 'layout', ARGV[3])
end
return {redis.call('HGET', KEYS[1], 'coin') or '', redis.call('HGET', KEYS[1], 'wallet') or '', redis.call('HGET', KEYS[1], 'layout') or '1'}
