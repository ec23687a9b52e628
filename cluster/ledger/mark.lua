-- Reads a stream's mark and writes it back: an idle node learns by it not only
-- what Redis has, but also that Redis takes writes, and its mark lives on.
--
-- KEYS  1 mark      ARGV  mark TTL s
-- reply the mark, '0' when there was none
local mark = redis.call('GET', KEYS[1]) or '0'
redis.call('SET', KEYS[1], mark, 'EX', ARGV[1])
return mark
