-- Makes a start of a node the one that applies a journal: the latest start wins, and
-- whoever still runs with a copy of the journal is refused from then on (apply.lua).
--
-- KEYS  1 owners      ARGV  journal, prefix of the start
-- reply {'ok', prefix} | {'later', prefix of a later start}
local owner = redis.call('HGET', KEYS[1], ARGV[1])
if owner and tonumber(owner) > tonumber(ARGV[2]) then return {'later', owner} end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return {'ok', ARGV[2]}
