-- Puts the chunks of a paid round away: one value instead of them, if they are
-- what was read.
--
-- KEYS  1 archive  2 prefix of a chunk  3 stats  4 rounds  5 the round's block
-- ARGV  value, seconds to keep it, first chunk, last chunk,
--       then (number of fields, hashes, unverified) per chunk
-- reply {'ok'} | {'changed', chunk} | {'state', text}
local first, last = tonumber(ARGV[3]), tonumber(ARGV[4])
local block = redis.call('HMGET', KEYS[5], 'state', 'first', 'cut')
if block[1] ~= 'paid' or block[2] ~= ARGV[3] or block[3] ~= ARGV[4] then
  return {'state', tostring(block[1]) .. ' ' .. tostring(block[2]) .. '-' .. tostring(block[3])}
end
local at = 5
for c = first, last do
  local key = KEYS[2] .. string.format('%.0f', c)
  local got = redis.call('HMGET', key, '#hashes', '#unverified')
  if tostring(redis.call('HLEN', key)) ~= ARGV[at] or (got[1] or '0') ~= ARGV[at + 1] or (got[2] or '0') ~= ARGV[at + 2] then
    return {'changed', string.format('%.0f', c)}
  end
  at = at + 3
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
for c = first, last do redis.call('DEL', KEYS[2] .. string.format('%.0f', c)) end
if tonumber(redis.call('HGET', KEYS[3], 'oldest') or '1') <= last then redis.call('HSET', KEYS[3], 'oldest', last + 1) end
return {'ok'}
