-- Reads what an audit holds against each other, as of one moment.
--
-- KEYS  1 stats  2 marks  3 gaps
-- reply {{hashes, shares, oldest chunk that is not archived}, {journal, mark}*, {gap}*}
local s = redis.call('HMGET', KEYS[1], 'hashes', 'shares', 'oldest')
return {{s[1] or '0', s[2] or '0', s[3] or '1'}, redis.call('HGETALL', KEYS[2]), redis.call('LRANGE', KEYS[3], 0, -1)}
