-- Ties a pool's keys to a coin and a wallet: those of the first to ask.
--
-- KEYS  1 identity      ARGV  coin, wallet
-- reply {coin, wallet} that have the pool
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('HSET', KEYS[1], 'coin', ARGV[1], 'wallet', ARGV[2])
end
return {redis.call('HGET', KEYS[1], 'coin') or '', redis.call('HGET', KEYS[1], 'wallet') or ''}
