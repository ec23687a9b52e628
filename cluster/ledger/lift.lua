-- Lifts the count of node prefixes to the caller's: a Redis that lost its last
-- second must not give it again. The key is no pool's, so this is a script of
-- its own: in a cluster it has another slot than the pool's keys.
--
-- KEYS  1 node prefixes      ARGV  prefix
-- reply the count
local next = redis.call('GET', KEYS[1]) or '0'
if tonumber(next) >= tonumber(ARGV[1]) then return next end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
