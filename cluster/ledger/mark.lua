-- Reads a stream's mark, renews its life, and lifts the count of node prefixes
-- to the caller's: a Redis that lost its last second must not give it again.
--
-- KEYS  1 mark  2 node prefixes      ARGV  prefix, mark TTL s
-- reply the mark, '0' when there is none
local mark = redis.call('GET', KEYS[1])
if mark then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
if tonumber(redis.call('GET', KEYS[2]) or '0') < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[2], ARGV[1])
end
return mark or '0'
